"""Where pictures come from: the request; elsewhere only where that is allowed, and never from a private network."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st

from runtime.media import downloading
from runtime.media.downloading import download
from runtime.media.errors import MediaRefused, MediaTooLarge, MediaUnreadable
from runtime.media.finding import bytes_of
from runtime.media.given import Gathering, Given, apart, joined, with_words
from runtime.settings import NOTHING_FETCHED, MediaSources
from support.pictures import base64_of


def found(source: str, sources: MediaSources = NOTHING_FETCHED) -> bytes:
    return bytes_of(Given("m", source, "f", "image", True), sources)


@pytest.mark.parametrize(
    "source",
    [
        "data:image/png;base64,/+8=", "data:image/png;charset=x;base64,/+8=", "DATA:;BASE64,/+8", "/+8=", "_-8",
        "/+\n8=", "data:image/png,%FF%EF",
    ],
)  # fmt: skip
def test_base64_of_any_kind_is_read(source: str) -> None:
    assert found(source) == b"\xff\xef"


@pytest.mark.parametrize("source", ["", "data:image/png;base64,", "?", "data:;base64,ä", "x" * 5])
def test_what_is_none_is_told(source: str) -> None:
    if source in ("", "data:image/png;base64,"):
        assert found(source) == b""
    else:
        with pytest.raises(MediaUnreadable):
            found(source)


@settings(deadline=None)
@drawn_from(st.text(max_size=200))
def test_nothing_that_a_client_writes_does_more_than_be_refused(source: str) -> None:
    for sources in (NOTHING_FETCHED, MediaSources(folder=Path("/nowhere"))):
        try:
            found(source, sources)
        except (MediaUnreadable, MediaRefused):
            continue


def test_addresses_are_refused_unless_they_are_allowed() -> None:
    for url, flag in (
        ("https://example.org/x", "--media-urls"),
        ("file:///etc/passwd", "--media-path"),
        ("ftp://x", ""),
    ):
        with pytest.raises(MediaRefused) as caught:
            found(url)
        assert flag in caught.value.hint


def test_files_are_read_below_their_folder_only(tmp_path: Path) -> None:
    folder, secret = tmp_path / "pictures", tmp_path / "secret"
    (folder / "of us").mkdir(parents=True)
    (folder / "of us" / "a.png").write_bytes(b"a picture")
    secret.write_bytes(b"a secret")
    (folder / "link").symlink_to(secret)
    allowed = MediaSources(folder=folder)
    assert found(f"file://{folder}/of%20us/a.png", allowed) == b"a picture"
    assert found(f"file://localhost{folder}/of%20us/a.png", allowed) == b"a picture"
    for path in (
        secret,
        folder / ".." / "secret",
        folder / "link",
        folder,
        folder / "none",
        f"{folder}/%00",
        "/etc/passwd",
    ):
        with pytest.raises(MediaRefused):
            found(f"file://{path}", allowed)
    with pytest.raises(MediaRefused):
        found(f"file://elsewhere{folder}/of%20us/a.png", allowed)


PRIVATE = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1",
           "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "224.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_nobody_s_own_network_is_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(*_arguments: Any, **_more: Any) -> list[Any]:
        return [(0, 0, 0, "", ("8.8.8.8", 443)), (0, 0, 0, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it was asked"))
    with pytest.raises(MediaRefused, match="not on the public internet"):
        download("f", "https://rebinding.example/cat.png")


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "https://", "https://u:p@example.org/", "https://[::1", "https://x:99999/"]
)
def test_other_addresses_are_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: pytest.fail("it was looked up"))
    with pytest.raises(MediaRefused):
        download("f", url)


class FakeResponse:
    """A body that comes a chunk a second, for ever."""

    def read1(self, n: int) -> bytes:
        return b"x" * n


class FakeSocket:
    def settimeout(self, seconds: float) -> None:
        assert seconds > 0


def test_what_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "MOST_BYTES", 200_000)
    response: Any = FakeResponse()
    plain: Any = FakeSocket()
    with pytest.raises(MediaTooLarge):
        downloading._read("f", response, plain, time.monotonic() + 100)
    with pytest.raises(TimeoutError):
        downloading._read("f", response, plain, time.monotonic() - 1)


def test_sending_on_is_followed_a_few_times_and_looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(_field: str, url: str, _deadline: float) -> bytes | str:
        asked.append(url)
        return b"there" if url.endswith("3") else f"/{len(asked)}"

    monkeypatch.setattr(downloading, "_get", get)
    assert download("f", "https://example.org/0") == b"there"
    assert asked == [f"https://example.org/{i}" for i in range(4)]
    monkeypatch.setattr(downloading, "_get", lambda _f, url, _d: url)
    with pytest.raises(MediaRefused, match="too often"):
        download("f", "https://example.org/0")


def test_marks_are_nobody_s_words_and_stay_where_they_are() -> None:
    gathering = Gathering()
    a, b = (gathering.add("f", base64_of(b"x"), "image", is_now=True) for _ in range(2))
    assert joined(["One", a, "two", "three", b]) == f"One{a}two\nthree{b}"
    assert joined([None, "", "x"]) == "x"
    assert apart(f"One{a}{b}two") == ["One", a, "", b, "two"]
    assert with_words(f"One {a} two", lambda _mark: "[image]") == "One [image] two"
    assert apart("qmedia0123456789abcdefn0q") == ["qmedia0123456789abcdefn0q"]
    assert a.isalnum()
