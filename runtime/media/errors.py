"""What can go wrong with pictures.

LoafError
└── MediaError            `field` of the request has it
    ├── MediaUnsupported  the model cannot see
    ├── MediaUnreadable   it is no picture, or none that can be decoded
    ├── MediaTooLarge     it is more than is taken
    ├── MediaTooMany      there are more than are taken
    └── MediaRefused      it lies where nothing is fetched from
"""

from __future__ import annotations

from runtime.errors import LoafError


class MediaError(LoafError):
    """The root of what this package raises. `field` is the part of the request that is meant."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message, hint)
        self.field = field


class MediaUnsupported(MediaError):
    """The model takes text only; `kind` was sent."""

    def __init__(self, field: str, kind: str) -> None:
        super().__init__(
            field, f"this model takes text only, not {kind!r}", "Ask a model that has a projector (--mmproj)."
        )
        self.kind = kind


class MediaUnreadable(MediaError):
    """`reason` is why it cannot be decoded."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(
            field,
            f"the picture cannot be read: {reason}",
            "Send JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF, as a data URI or base64.",
        )
        self.reason = reason


class MediaTooLarge(MediaError):
    """`what` it has too many of, and how many are taken at `most`."""

    def __init__(self, field: str, what: str, most: int) -> None:
        super().__init__(field, f"the picture has too many {what}: {most:,} at most", "Send it smaller.")
        self.what = what
        self.most = most


class MediaTooMany(MediaError):
    """One request has more than `most`."""

    def __init__(self, field: str, most: int) -> None:
        super().__init__(field, f"a request may have {most:,} pictures at most", "Leave out the first of them.")
        self.most = most


class MediaRefused(MediaError):
    """`reason` is why nothing is fetched from there."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        super().__init__(field, reason, hint or "Send the picture itself, as a data URI.")
        self.reason = reason
