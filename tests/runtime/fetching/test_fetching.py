"""Models from a hub on this machine: which files are chosen, and that they come whole whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.errors import LoafError
from runtime.fetching import downloads
from runtime.fetching.errors import Damaged, FetchFailed, NotFetched
from runtime.fetching.hub import choose
from runtime.fetching.models import fetch_model, find_model
from runtime.fetching.web import check_address, shown
from runtime.settings import HubModel, WebModel
from support.bundles import DEMO_GGUF, clean_environment
from support.hub import Hub, running

if TYPE_CHECKING:
    import subprocess

    Run = Callable[..., subprocess.CompletedProcess[str]]

GGUF = b"GGUF" + bytes(range(256)) * 20_000
SPLIT = [f"big/m-Q6_K-{i:05}-of-00003.gguf" for i in (1, 2, 3)]
WANTED = HubModel("someone/model-GGUF")
ADDRESS = "/someone/model-GGUF/resolve/c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff/m-Q4_K_M.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"m-Q4_K_M.gguf": GGUF, "m-Q8_0.gguf": GGUF[::-1][:-4] + GGUF[:4], **dict.fromkeys(SPLIT, GGUF)}
    with running(Hub({WANTED.repository: files})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(downloads, "PAUSE", 0.0)
        yield hub


def fetched(wanted: HubModel | WebModel, cache: Path) -> Path:
    return fetch_model(wanted, cache, lambda _what: lambda _have, _total: None)


NAMES = ["README.md", "mmproj-F16.gguf", "m-IQ2_XS.gguf", "m.Q5_K_M.gguf", "m-bf16.gguf", *SPLIT]
CHOICES = [
    ("", [*NAMES, "m-Q4_K_M.gguf"], ("m-Q4_K_M.gguf",)),
    ("", [*NAMES, "m-Q8_0.gguf"], ("m-Q8_0.gguf",)),
    ("", NAMES, tuple(SPLIT)),
    ("q5_k_m", NAMES, ("m.Q5_K_M.gguf",)),
    ("BF16", NAMES, ("m-bf16.gguf",)),
    ("Q6_K", NAMES, tuple(SPLIT)),
]


@pytest.mark.parametrize(("quantization", "names", "expected"), CHOICES)
def test_which_files_are_meant(quantization: str, names: list[str], expected: tuple[str, ...]) -> None:
    assert choose(names, HubModel("a/b", quantization)) == expected


@pytest.mark.parametrize(
    ("quantization", "names", "says"),
    [
        ("Q3_K_S", NAMES, "There are: Q6_K, IQ2_XS, BF16, Q5_K_M"),
        ("Q6_K", SPLIT[:2], "a part of the model is missing: big/m-Q6_K-00003"),
        ("", ["README.md", "mmproj-F16.gguf"], "no GGUF"),
    ],
)
def test_what_is_not_there_is_told(quantization: str, names: list[str], says: str) -> None:
    with pytest.raises(FetchFailed, match=says):
        raise_with_hint(lambda: choose(names, HubModel("a/b", quantization)))


def test_it_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    path = fetched(WANTED, tmp_path)
    assert (path.name, path.read_bytes()) == ("m-Q4_K_M.gguf", GGUF)
    assert [path.name for path in path.parent.iterdir()] == ["m-Q4_K_M.gguf"], "nothing else is left"
    asked = len(hub.asked)
    assert fetched(WANTED, tmp_path) == path
    assert len(hub.asked) == asked + 1, "only the list was asked for"
    assert find_model(WANTED, tmp_path) == path
    with pytest.raises(NotFetched):
        find_model(HubModel(WANTED.repository, "Q8_0"), tmp_path)


def test_all_parts_lie_beside_each_other(hub: Hub, tmp_path: Path) -> None:  # noqa: ARG001
    first = fetched(HubModel(WANTED.repository, "Q6_K"), tmp_path)
    assert sorted(path.name for path in first.parent.iterdir()) == [name.removeprefix("big/") for name in SPLIT]
    assert first.name == "m-Q6_K-00001-of-00003.gguf"


def test_a_new_version_is_another_file(hub: Hub, tmp_path: Path) -> None:
    old = fetched(WANTED, tmp_path)
    hub.files[WANTED.repository]["m-Q4_K_M.gguf"] = GGUF + b"new"
    new = fetched(WANTED, tmp_path)
    assert (new.read_bytes(), old.read_bytes()) == (GGUF + b"new", GGUF)


def test_an_interruption_is_gone_on_from(hub: Hub, tmp_path: Path) -> None:
    hub.cuts, hub.failures = 2, 1
    assert fetched(WANTED, tmp_path).read_bytes() == GGUF
    ranges = [headers["Range"] for _path, headers in hub.asked if "Range" in headers]
    assert ranges == [f"bytes={len(GGUF) // 2}-", f"bytes={len(GGUF) * 3 // 4}-"]


def test_what_an_ended_program_left_is_gone_on_from(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = 99
    with pytest.raises(FetchFailed, match="the connection was cut"):
        fetched(WANTED, tmp_path)
    hub.cuts = 0
    assert fetched(WANTED, tmp_path).read_bytes() == GGUF
    assert "Range" in hub.asked[-1][1]


def test_a_file_that_has_changed_meanwhile_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    address = WebModel(f"{hub.url}{ADDRESS}")
    hub.cuts = 99
    with pytest.raises(FetchFailed):
        fetched(address, tmp_path)
    hub.cuts, hub.etag = 0, '"two"'
    hub.files[WANTED.repository]["m-Q4_K_M.gguf"] = GGUF[:1000]
    assert fetched(address, tmp_path).read_bytes() == GGUF[:1000]
    assert find_model(address, tmp_path).name == "m-Q4_K_M.gguf"


def test_two_at_once_fetch_it_once(hub: Hub, tmp_path: Path) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetched(WANTED, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in paths] == [GGUF] * 3
    assert [path.name for path in paths[0].parent.iterdir()] == ["m-Q4_K_M.gguf"]
    assert len([path for path, _headers in hub.asked if "/resolve/" in path]) == 1


def test_a_token_is_for_the_hub_alone(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Hub(hub.files)) as elsewhere:
        hub.token, hub.elsewhere = "secret", elsewhere
        with pytest.raises(FetchFailed, match="HF_TOKEN"):
            raise_with_hint(lambda: fetched(WANTED, tmp_path))
        monkeypatch.setenv("HF_TOKEN", "secret")
        assert fetched(WANTED, tmp_path).read_bytes() == GGUF
        assert elsewhere.asked
        assert not any("Authorization" in headers for _path, headers in elsewhere.asked)


def test_what_is_damaged_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.lies = True
    for wanted in (WANTED, WebModel(f"{hub.url}{ADDRESS}")):
        with pytest.raises(Damaged):
            fetched(wanted, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    hub.lies = False
    assert fetched(WANTED, tmp_path).read_bytes() == GGUF


def test_without_the_hub_what_is_there_is_enough(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetched(WANTED, tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert fetched(WANTED, tmp_path) == path
    with pytest.raises(FetchFailed, match="cannot be reached"):
        fetched(HubModel(WANTED.repository, "Q8_0"), tmp_path)
    assert hub.asked


REFUSED: list[tuple[str, HubModel | WebModel, str]] = [
    ("no such repository", HubModel("nobody/nothing"), "there is no such file"),
    ("no such file", WebModel("/x.gguf"), "there is no such file"),
    ("no name of a model", WebModel("/model"), "does not end in the name of a GGUF"),
]


@pytest.mark.parametrize(("wanted", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_had_is_told(hub: Hub, tmp_path: Path, wanted: HubModel | WebModel, says: str) -> None:
    if isinstance(wanted, WebModel):
        wanted = WebModel(f"{hub.url}{wanted.url}")
    with pytest.raises(LoafError, match=says):
        fetched(wanted, tmp_path)


@pytest.mark.parametrize(
    "url", ["http://example.org/m.gguf", "ftp://h/m.gguf", "file:///m.gguf", "m.gguf", "https://", "http://[::1/x"]
)
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(FetchFailed, match="https://"):
        check_address(url)


def test_secrets_are_not_shown() -> None:
    assert shown("https://me:secret@example.org/m.gguf?token=secret") == "https://example.org/m.gguf"


def test_a_bundle_answers_with_what_it_fetched(demo: Path, run: Run, hub: Hub, tmp_path: Path) -> None:
    hub.files["someone/demo"] = {"demo-Q8_0.gguf": DEMO_GGUF.read_bytes()}
    environment = clean_environment(tmp_path, HF_ENDPOINT=hub.url)
    flags = ("-hf", "someone/demo:Q8_0", "-p", "Hello", "-n", "4", "--temp", "0")
    missing = run(demo, "-hf", "someone/demo:Q8_0", "--explain", env=environment)
    assert (missing.returncode, "not on this machine yet" in missing.stderr) == (1, True)
    first, second = run(demo, *flags, env=environment), run(demo, *flags, env=environment)
    assert first.stderr == "Fetching demo-Q8_0.gguf of someone/demo: " + first.stderr.rpartition(": ")[2]
    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    assert first.stdout == second.stdout == run(demo, *flags[2:]).stdout


def raise_with_hint(action: Callable[[], object]) -> None:
    """What `action` raises, with its hint in its message."""
    try:
        action()
    except FetchFailed as error:
        raise FetchFailed(error.what, f"{error.reason} {error.hint}", error.hint) from error
