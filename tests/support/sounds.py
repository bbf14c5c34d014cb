"""Sounds, made for tests, as the files and bodies that clients send."""

from __future__ import annotations

import io
import math
from array import array

import soundfile

FORMS = {
    "wav": ("WAV", "PCM_16"),
    "wav of 24 bits": ("WAV", "PCM_24"),
    "wav of floats": ("WAV", "FLOAT"),
    "wav of mu-law": ("WAV", "ULAW"),
    "rf64": ("RF64", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "flac": ("FLAC", "PCM_16"),
    "ogg vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
"""libsndfile's names of what it writes."""


def tone(seconds: float = 1.0, pitch: float = 440.0, rate: int = 16_000, channels: int = 1) -> array[float]:
    """Half as loud as can be, the same in all channels."""
    samples = (0.5 * math.sin(2 * math.pi * pitch * i / rate) for i in range(round(seconds * rate)))
    return array("f", (one for one in samples for _channel in range(channels)))


def silence(seconds: float, rate: int = 16_000) -> array[float]:
    return array("f", bytes(4 * round(seconds * rate)))


def written(samples: array[float], form: str = "wav", rate: int = 16_000, channels: int = 1) -> bytes:
    """The file of `samples`, in one of `FORMS`."""
    file = io.BytesIO()
    format_, subtype = FORMS[form]
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=format_) as sound:
        sound.buffer_write(samples.tobytes(), "float32")
    return file.getvalue()


def wav(pitch: float = 440.0, seconds: float = 1.0) -> bytes:
    return written(tone(seconds, pitch))
