"""What can go wrong with pictures and sounds.

LoafError
└── MediaError            `field` of the request has it
    ├── MediaUnsupported  the model cannot see it, or hear it
    ├── MediaUnreadable   it is none that can be decoded
    ├── MediaTooLarge     it is more than is taken
    ├── MediaTooMany      there are more than are taken
    └── MediaRefused      it lies where nothing is fetched from
"""

from __future__ import annotations

from runtime.errors import LoafError
from runtime.media.kinds import Kind


class MediaError(LoafError):
    """The root of what this package raises. `field` is the part of the request that is meant."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message, hint)
        self.field = field


class MediaUnsupported(MediaError):
    """The model takes `takes` only; `kind` was sent."""

    def __init__(self, field: str, kind: str, takes: str = "text") -> None:
        super().__init__(
            field, f"this model takes {takes} only, not {kind!r}", "Ask a model that has a projector for it (--mmproj)."
        )
        self.kind = kind


class MediaUnreadable(MediaError):
    """`reason` is why it cannot be decoded. `is_file`: it was named in the terminal, and not sent by a client."""

    def __init__(self, field: str, reason: str, kind: Kind = "picture", *, is_file: bool = False) -> None:
        formats = {
            "picture": "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF",
            "sound": "WAV, MP3, FLAC, Ogg Vorbis or Opus",
        }[kind]
        hint = f"Name a file that is {formats}." if is_file else f"Send {formats}, as a data URI or base64."
        super().__init__(field, f"the {kind} cannot be read: {reason}", hint)
        self.reason = reason


class MediaTooLarge(MediaError):
    """`what` it has too many of, and how many are taken at `most`."""

    def __init__(self, field: str, what: str, most: int, kind: Kind = "picture") -> None:
        smaller = {"picture": "Send it smaller.", "sound": "Send it in parts."}[kind]
        super().__init__(field, f"the {kind} has too many {what}: {most:,} at most", smaller)
        self.what = what
        self.most = most


class MediaTooMany(MediaError):
    """One request has more than `most`."""

    def __init__(self, field: str, most: int) -> None:
        super().__init__(
            field, f"a request may have {most:,} pictures and sounds at most", "Leave out the first of them."
        )
        self.most = most


class MediaRefused(MediaError):
    """`reason` is why nothing is fetched from there."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        super().__init__(field, reason, hint or "Send the file itself, as a data URI.")
        self.reason = reason
