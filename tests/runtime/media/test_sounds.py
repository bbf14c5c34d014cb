"""Files of sound, as phones and browsers write them, into samples at the model's rate, within bounds."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from runtime.media import sounds
from runtime.media.errors import MediaTooLarge, MediaUnreadable
from runtime.media.kinds import is_sound
from runtime.media.sounds import decode_sound
from support.bundles import clean_environment
from support.pictures import drawn
from support.pictures import written as picture
from support.places import ROOT
from support.sounds import FORMS, silence, tone, written

RATE = 16_000
LOSSY = ("mp3", "ogg vorbis", "opus", "wav of mu-law")


def heard(data: bytes, rate: int = RATE) -> array[float]:
    return array("f", decode_sound("f", data, rate).data)


def loudness(samples: array[float], pitch: float, rate: int = RATE) -> float:
    """How much of a pitch is in the middle of `samples`, by Fourier's sum; a tone of `tone` has 0.5."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    turn = 2 * math.pi * pitch / rate
    real = sum(one * math.cos(turn * i) for i, one in enumerate(middle))
    imaginary = sum(one * math.sin(turn * i) for i, one in enumerate(middle))
    return 2 * math.hypot(real, imaginary) / len(middle)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_what_clients_send_is_read(form: str, channels: int) -> None:
    samples = heard(written(tone(1.5, rate=48_000, channels=channels), form, 48_000, channels))
    slack = RATE // 10 if form == "mp3" else 0  # its frames are whole
    assert 0 <= len(samples) - 1.5 * RATE <= slack
    assert loudness(samples, 440) == pytest.approx(0.5, abs=0.03)
    assert loudness(samples, 1000) < 0.01


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_becomes_the_model_s(rate: int) -> None:
    samples = heard(written(tone(2.3, pitch=700, rate=rate), "wav of floats", rate))
    assert len(samples) == round(2.3 * RATE)
    assert loudness(samples, 700) == pytest.approx(0.5, abs=0.01)
    assert max(map(abs, samples)) < 0.52
    faster = heard(written(tone(1.0, pitch=700, rate=rate), "wav", rate), 24_000)
    assert loudness(faster, 700, 24_000) == pytest.approx(0.5, abs=0.01)


def test_what_a_rate_cannot_hold_is_left_out() -> None:
    """Rather than told as something lower: 15 kHz at 16,000 samples a second would be 1 kHz."""
    samples = heard(written(tone(1.0, pitch=15_000, rate=48_000), "wav", 48_000))
    assert loudness(samples, 1_000) < 0.02


def test_seconds_join_without_a_seam() -> None:
    """A tone of 19 seconds at another rate is the tone of one second, everywhere."""
    samples = heard(written(tone(19, pitch=500, rate=44_100), "wav of floats", 44_100))
    period = RATE // 500
    assert len(samples) == 19 * RATE
    first = samples[period : 2 * period]
    for at in range(RATE - period, len(samples) - 2 * period, RATE // 2):
        start = at - at % period
        assert all(abs(a - b) < 1e-3 for a, b in zip(samples[start : start + period], first, strict=True)), at


def test_channels_become_their_mean() -> None:
    left = tone(1.0)
    both = array("f", (one for value in left for one in (value, -value)))
    assert max(map(abs, heard(written(both, "wav", channels=2)))) < 1e-3


def test_sounds_are_told_apart_by_their_files() -> None:
    one = written(tone())
    assert decode_sound("f", one, RATE).digest == decode_sound("f", one, RATE).digest
    assert decode_sound("f", one, RATE).digest != decode_sound("f", written(tone(pitch=441)), RATE).digest


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_is_known_by_what_is_in_it(form: str) -> None:
    assert is_sound(written(tone(), form))


def test_nothing_else_is_taken_for_a_sound() -> None:
    files = [picture(drawn(), form) for form in ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")]
    for data in (
        b"",
        b"\xff",
        b"\xff\xf1\x50\x80",
        b"RIFF\0\0\0\0WEBP",
        b"\x1aE\xdf\xa3",
        b"\0\0\0\x18ftypM4A ",
        *files,
    ):
        assert not is_sound(data), data[:16]
        with pytest.raises(MediaUnreadable, match="no kind that is known"):
            heard(data)


def wav_of(content: bytes, *, rate: int = RATE, channels: int = 1, bits: int = 16, claimed: int | None = None) -> bytes:
    """A WAV with any numbers in its header."""
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 3 if bits == 32 else 1, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    size = len(content) if claimed is None else claimed
    data = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + content
    return b"RIFF" + struct.pack("<I", (4 + len(data)) & 0xFFFFFFFF) + b"WAVE" + data


SECOND = bytes(2 * RATE)


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFF0, 10 * len(SECOND), 0x7FFFFFFF])
def test_what_claims_to_be_longer_than_it_is_is_what_it_is(claimed: int) -> None:
    """As programs write it that do not know yet how long it will be."""
    assert len(heard(wav_of(SECOND, claimed=claimed))) == RATE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (wav_of(b""), "nothing in it"), (wav_of(SECOND)[:30], "cannot be read"), (wav_of(SECOND, rate=0), ""),
        (wav_of(SECOND, rate=2_000_000_000), ""), (wav_of(SECOND, rate=500), "500 samples a second"),
        (wav_of(SECOND, channels=0), ""), (wav_of(SECOND, channels=1000), ""), (wav_of(SECOND, channels=65_535), ""),
        (b"fLaC" + bytes(100), ""), (b"OggS" + bytes(100), ""), (b"ID3" + bytes(100), ""),
        (b"\xff\xfb" + bytes(100), ""),
        (b"fLaC", ""), (b"OggS", ""), (b"ID3", ""), (b"\xff\xfb", ""), (b"RF64\0\0\0\0WAVE", ""),
        (wav_of(struct.pack("<4f", 0, math.nan, 0, 0), bits=32), "no sound"),
        (wav_of(struct.pack("<4f", 0, math.inf, 0, 0), bits=32), "no sound"),
        (wav_of(struct.pack("<4f", 0, 3e38, 0, 0), bits=32), "no sound"),
    ],
)  # fmt: skip
def test_what_is_none_is_told_what_to_send(data: bytes, words: str) -> None:
    with pytest.raises((MediaUnreadable, MediaTooLarge), match=words or None):
        heard(data)


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_that_is_cut_off_is_what_is_there_of_it(form: str) -> None:
    data = written(tone(3, rate=48_000), form, 48_000)
    try:
        samples = heard(data[: len(data) // 2])
    except MediaUnreadable:
        return
    assert 0.5 * RATE < len(samples) < 2.9 * RATE


@pytest.mark.parametrize("form", ["flac", "opus", "ogg vorbis", "mp3"])
def test_a_sound_that_is_too_long_is_refused(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MOST_SECONDS", 2)
    with pytest.raises(MediaTooLarge, match="seconds: 2 at most"):
        heard(written(tone(3, rate=48_000), form, 48_000))
    assert len(heard(written(tone(1.5, rate=48_000), form, 48_000))) > RATE


def test_a_length_that_is_not_told_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a FLAC's header 36 bits say how many samples there are; none: nobody knows (RFC 9639, 8.2)."""
    data = bytearray(written(tone(3), "flac"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert len(heard(bytes(data))) == 3 * RATE
    monkeypatch.setattr(sounds, "MOST_SECONDS", 2)
    with pytest.raises(MediaTooLarge):
        heard(bytes(data))


def test_what_is_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MOST_BYTES", 100)
    with pytest.raises(MediaTooLarge):
        heard(written(tone()))


DAY = """
import resource, sys
from runtime.media.errors import MediaTooLarge
from runtime.media.sounds import decode_sound
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_sound("f", data, 16_000)
except MediaTooLarge:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("told", [86_400 * 8_000, 0], ids=["told", "not told"])
def test_a_day_of_silence_costs_a_refusal_and_no_memory(tmp_path: Path, told: int) -> None:
    """In 50 kB; also where the header says nothing of it, so that it is decoded up to the bound, and given up there."""
    day = bytearray(written(silence(1860, 8_000), "flac", 8_000))
    day[21] &= 0xF0
    struct.pack_into(">I", day, 22, told)
    (tmp_path / "day.flac").write_bytes(day)
    command = [sys.executable, "-c", DAY, tmp_path / "day.flac"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=clean_environment(), check=True)
    assert int(done.stdout) < (20 if told else 250), "MB"
