"""Sounds in the terminal: by command, dropped, with -p, and kept in files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.bundles import DEMO_GGUF, clean_environment
from support.hearing_projectors import seeing_too, ultravox
from support.pictures import base64_of, png
from support.places import ROOT
from support.sounds import tone, wav, written
from support.talking import chat

WHAT = "What is said?"


@pytest.fixture(scope="module")
def projector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the demo model, which hears nothing in particular with it."""
    return ultravox(tmp_path_factory.mktemp("projector") / "ultravox.gguf", 192)


@pytest.fixture(autouse=True)
def _dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


def test_sounds_go_with_what_is_asked_next_and_are_kept(projector: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav())
    (tmp_path / "b c.mp3").write_bytes(mp3 := written(tone(), "mp3"))
    kept, dropped = tmp_path / "talk.json", f"'{tmp_path / 'b c.mp3'}'"
    told = chat(projector, f"/audio {tmp_path / 'a.wav'}", f"{dropped} {WHAT}", "And now?", f"/save {kept}")
    assert told[:2] == ["a.wav goes with what is asked next", "b c.mp3, too"]
    asked = [each["content"] for each in json.loads(kept.read_bytes())["messages"] if each["role"] == "user"]
    sounds = [
        {"type": "input_audio", "input_audio": {"data": base64_of(data), "format": format_}}
        for data, format_ in ((wav(), "wav"), (mp3, "mp3"))
    ]
    assert asked == [[*sounds, {"type": "text", "text": WHAT}], "And now?"]
    told = chat(projector, f"/load {kept}", "/undo", "/undo", "Hm?", f"/save {tmp_path / 'rest.json'}")
    assert told[2:4] == ["taken back: And now?", f"taken back: [audio] [audio] {WHAT}"]


def test_what_cannot_be_played_is_told_and_nothing_is_asked(projector: Path, tmp_path: Path) -> None:
    for name, data in (("x.wav", b"no sound"), ("y.wav", wav()), ("z.png", png())):
        (tmp_path / name).write_bytes(data)
    missing, strange, blind = chat(
        projector, "/audio no.wav", f"/audio {tmp_path / 'x.wav'}", f"/image {tmp_path / 'z.png'}"
    )
    assert missing == "no.wav: No such file or directory"
    assert "x.wav: the sound cannot be read" in strange
    assert blind == "this model does not see pictures"
    assert chat(None, f"/audio {tmp_path / 'y.wav'}") == ["this model does not hear sounds"]
    assert "goes with what is asked next" not in chat(None, f"{tmp_path / 'y.wav'} is what?")[0]


def loaf_p(projector: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    model = ["-m", str(DEMO_GGUF), "--mmproj", str(projector), "--temp", "0", "-n", "4"]
    command = [sys.executable, "-m", "runtime", *model, *flags]
    environment = clean_environment()
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
    )


def test_one_answer_about_sounds_and_pictures(tmp_path: Path) -> None:
    both = seeing_too(tmp_path / "both.gguf", 192)
    (tmp_path / "a.wav").write_bytes(wav())
    (tmp_path / "a.png").write_bytes(png())
    sound, picture = ("--audio", f"{tmp_path}/a.wav"), ("--image", f"{tmp_path}/a.png")
    said = loaf_p(both, *sound, *sound, *picture, "-p", WHAT)
    assert (said.stderr, said.returncode) == ("", 0)
    said = loaf_p(both, "--audio", "README.md", "-p", WHAT)
    assert (said.returncode, said.stdout) == (1, "")
    assert "README.md: the sound cannot be read" in said.stderr
