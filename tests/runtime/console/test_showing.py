"""Pictures in the terminal: by command, dropped, with -p, and kept in files."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.console.showing import dropped, show
from runtime.media.errors import MediaError
from runtime.media.given import Gathering
from support.bundles import DEMO_GGUF, clean_environment
from support.pictures import data_uri, png
from support.places import ROOT
from support.projectors import llava
from support.talking import chat

WHAT = "What is in this picture?"
SEES: Any = SimpleNamespace(sees=True, hears=False)
WRITTEN = [
    ("{plain}", ("plain",), ""),
    ("{plain} ", ("plain",), ""),
    ("'{spaced}' what is it?", ("spaced",), "what is it?"),
    ('"{spaced}"  {plain}\nwhat are they?', ("spaced", "plain"), "what are they?"),
    ("{escaped} hm", ("spaced",), "hm"),
    ("file://{percent}", ("spaced",), ""),
    ("'{quoted}'", ("quote",), ""),
    ("see {plain}", (), "see {plain}"),
    ("{plain}?", (), "{plain}?"),
    ("/etc/passwd holds what?", (), "/etc/passwd holds what?"),
    ("/none.png holds what?", (), "/none.png holds what?"),
    ("plain.png", (), "plain.png"),
    ("'it ends nowhere", (), "'it ends nowhere"),
    ("", (), ""),
]


@pytest.mark.parametrize(("line", "names", "text"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_dropped_file_is_known_as_terminals_write_it(
    tmp_path: Path, line: str, names: tuple[str, ...], text: str
) -> None:
    files = {"plain": "a.png", "spaced": "a b.JPG", "quote": "it's.webp"}
    paths = {name: tmp_path / file for name, file in files.items()}
    for path in paths.values():
        path.touch()
    forms = {
        **paths,
        "escaped": str(paths["spaced"]).replace(" ", "\\ "),
        "percent": str(paths["spaced"]).replace(" ", "%20"),
        "quoted": str(paths["quote"]).replace("'", "'\\''"),
    }
    found = dropped(line.format(**forms), SEES)
    assert found.files == tuple(("picture", paths[name]) for name in names)
    assert found.text == text.format(**forms)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_told_when_it_is_shown(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.png").write_bytes(data)
    gathering = Gathering()
    with pytest.raises(MediaError, match=r"x\.png"):
        show("picture", tmp_path / "x.png", gathering, SEES)
    assert gathering.given == ()


@pytest.fixture(scope="module")
def projector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the demo model, which sees nothing in particular with it."""
    return llava(tmp_path_factory.mktemp("projector") / "llava.gguf", 192)


@pytest.fixture(autouse=True)
def _dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


def test_pictures_go_with_what_is_asked_next_and_are_kept(projector: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b c.png"):
        (tmp_path / name).write_bytes(png("red"))
    quoted = shlex.quote(str(tmp_path / "my talk.json"))
    kept, dropped_ = tmp_path / "talk.json", f"'{tmp_path / 'b c.png'}'"
    told = chat(projector, f"/image {tmp_path / 'a.png'}", dropped_, WHAT, "And now?", f"{dropped_} And here?",
                f"/save {kept}")  # fmt: skip
    assert told[:2] == ["a.png goes with what is asked next", "b c.png, too"]
    asked = [each["content"] for each in json.loads(kept.read_bytes())["messages"] if each["role"] == "user"]
    url = {"type": "image_url", "image_url": {"url": data_uri(png("red"))}}
    assert asked == [
        [url, url, {"type": "text", "text": WHAT}], "And now?", [url, {"type": "text", "text": "And here?"}]
    ]  # fmt: skip
    told = chat(projector, f"/load {kept}", f"/save {quoted}", f"/load {quoted}", f"/image {dropped_}")
    assert told[2:4] == [f"saved to {tmp_path / 'my talk.json'}", told[0]]
    assert told[-1] == "b c.png goes with what is asked next"
    told = chat(projector, f"/load {kept}", "/undo", "/undo", "/undo", f"/save {tmp_path / 'rest.json'}")
    assert told[2:5] == [
        "taken back: [image] And here?", "taken back: And now?", f"taken back: [image] [image] {WHAT}"
    ]  # fmt: skip
    assert json.loads((tmp_path / "rest.json").read_bytes()) == {"messages": []}


def test_what_cannot_be_shown_is_told_and_nothing_is_asked(projector: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    picture = tmp_path / "y.png"
    picture.write_bytes(png("red"))
    missing, strange = chat(projector, "/image no.png", f"/image {tmp_path / 'x.png'}")
    assert missing == "no.png: No such file or directory"
    assert "x.png: the picture cannot be read" in strange
    assert chat(None, f"/image {picture}") == ["this model does not see pictures"]
    assert "goes with what is asked next" not in chat(None, f"{picture} is what?")[0], "it is text for such a model"


def loaf_p(projector: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    model = ["-m", str(DEMO_GGUF), "--mmproj", str(projector), "--temp", "0", "-n", "4"]
    command = [sys.executable, "-m", "runtime", *model, *flags]
    environment = clean_environment()
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
    )


def test_one_answer_about_pictures(projector: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    said = loaf_p(projector, "--image", f"{tmp_path}/a.png", "--image", f"{tmp_path}/a.png", "-p", WHAT)
    assert (said.stderr, said.returncode) == ("", 0)
    said = loaf_p(projector, "--image", "README.md", "-p", WHAT)
    assert (said.returncode, said.stdout) == (1, "")
    assert "README.md: the picture cannot be read" in said.stderr
    assert "Name a file that is JPEG, " in said.stderr
