"""Files of sound into samples: by what is in them and not by their names, within bounds.

They are decoded second by second, so that a file that unpacks to more than is taken costs no memory: it is given up
there. One is decoded at a time.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterator

from runtime.engine.backend import Samples
from runtime.engine.wanted import check_wanted
from runtime.media.decoding import MOST_BYTES, digest_of
from runtime.media.errors import MediaTooLarge, MediaUnreadable
from runtime.media.kinds import is_sound
from runtime.media.resampling import at_rate, mono
from runtime.media.sndfile import NotDecoded, Opened, opened

MOST_SECONDS = 30 * 60
"""What models are taught to listen to at most. A minute takes 4 MB, and 13 while it is taken in (measured)."""

_LEAST_RATE, _MOST_RATE = 1_000, 384_000
_MOST_CHANNELS = 16
_MOST_VALUES = 400_000_000
"""Of all channels: half an hour of two at 96 kHz. Decoding so many takes a few seconds."""

_LOUDEST = 1e6
"""Of floats that are from -1 to 1. Files are found whose values are those of 16-bit integers; what is beyond that is
noise, whose squares are no numbers any more."""

_decoding = threading.Lock()


def decode_sound(field: str, data: bytes, rate: int) -> Samples:
    """The sound in `data`, of one channel, `rate` values a second. Raises `MediaUnreadable`, `MediaTooLarge`."""
    if len(data) > MOST_BYTES:
        raise MediaTooLarge(field, "bytes", MOST_BYTES, "sound")
    if not is_sound(data):
        raise MediaUnreadable(field, "it is of no kind that is known", "sound")
    with _decoding:
        try:
            return Samples(digest_of(data), b"".join(_samples(field, data, rate)))
        except MemoryError as error:
            raise MediaTooLarge(field, "seconds for the memory that is free", MOST_SECONDS, "sound") from error


def _samples(field: str, data: bytes, wanted: int) -> Iterator[bytes]:
    is_empty = True
    try:
        with opened(data) as sound:
            rate, n_channels = sound.rate, sound.n_channels
            if not _LEAST_RATE <= rate <= _MOST_RATE:
                raise MediaUnreadable(field, f"it has {rate:,} samples a second", "sound")
            if not 1 <= n_channels <= _MOST_CHANNELS:
                raise MediaTooLarge(field, "channels", _MOST_CHANNELS, "sound")
            if sound.n_frames is not None and sound.n_frames > MOST_SECONDS * rate:
                raise MediaTooLarge(field, "seconds", MOST_SECONDS, "sound")
            for samples in at_rate(_seconds(field, sound), rate, wanted):
                _check_values(field, samples)
                is_empty = False
                yield samples
    except NotDecoded as error:
        raise MediaUnreadable(field, str(error), "sound") from error
    if is_empty:
        raise MediaUnreadable(field, "there is nothing in it", "sound")


def _seconds(field: str, sound: Opened) -> Iterator[bytes]:
    """Each second of one channel. Raises `MediaTooLarge`."""
    most = min(MOST_SECONDS, _MOST_VALUES // (sound.rate * sound.n_channels))
    for _second in range(most):
        check_wanted()
        frames = sound.read(sound.rate)
        if frames:
            yield mono(frames, sound.n_channels)
        if len(frames) < 4 * sound.rate * sound.n_channels:
            return
    if sound.read(1):
        raise MediaTooLarge(field, "seconds", most, "sound")


def _check_values(field: str, samples: bytes) -> None:
    """Raises `MediaUnreadable` where what claims to be numbers are none, or none of a sound."""
    values = array("f", samples)
    if not math.isfinite(sum(values)) or max(max(values), -min(values)) > _LOUDEST:
        raise MediaUnreadable(field, "there are numbers in it that are no sound", "sound")
