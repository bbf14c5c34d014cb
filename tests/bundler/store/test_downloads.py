"""Downloads over a real connection: resumed, verified, and whole or not there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.errors import CacheFull, DigestMismatch, DownloadFailed, SourceNotFound
from bundler.progress import SilentProgress
from bundler.store import downloads
from bundler.store.downloads import Download, download_store, fetch
from support.web import Site, serving

DATA = bytes(range(256)) * 40_000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "_PAUSE", 0.001)
    return download_store()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(files={"/file": DATA})) as site:
        yield site


def get(site: Site, path: str = "/file", sha256: str | None = DIGEST, size: int | None = len(DATA)) -> Path:
    return fetch(Download(site.address + path, "file", sha256, size), SilentProgress())


def left(store: Path) -> set[str]:
    return {path.name for path in store.iterdir()} - {"file.lock"}


def test_a_file_is_fetched_once(site: Site, store: Path) -> None:
    assert get(site).read_bytes() == DATA
    assert get(site).read_bytes() == DATA
    assert len(site.asked) == 1
    assert left(store) == {"file"}


def test_a_broken_connection_is_gone_on_with(site: Site, store: Path) -> None:
    site.cut_after, site.cuts = 3_000_000, 3
    assert get(site).read_bytes() == DATA
    assert [asked for _method, _path, asked in site.asked] == ["", *(f"bytes={3_000_000 * i}-" for i in (1, 2, 3))]
    assert left(store) == {"file"}


def test_what_an_earlier_try_left_is_gone_on_with(site: Site) -> None:
    site.cut_after, site.cuts = 1_000_000, 5
    with pytest.raises(DownloadFailed) as caught:
        get(site)
    assert "kept" in caught.value.hint
    site.asked.clear()
    site.cuts = 0
    assert get(site).read_bytes() == DATA
    assert site.asked[0][2] == "bytes=5000000-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(site: Site) -> None:
    site.cut_after, site.cuts = 1_000_000, 5
    with pytest.raises(DownloadFailed):
        get(site, sha256=None, size=None)
    changed = DATA[::-1]
    site.files["/file"], site.cuts = changed, 0
    assert get(site, sha256=None, size=None).read_bytes() == changed


def test_a_busy_server_is_asked_again(site: Site) -> None:
    site.busy = 4
    assert get(site).read_bytes() == DATA


def test_wrong_bytes_do_not_count(site: Site, store: Path) -> None:
    with pytest.raises(DigestMismatch):
        get(site, sha256="0" * 64)
    assert left(store) == set()
    with pytest.raises(DigestMismatch):
        get(site, size=len(DATA) + 1)
    assert get(site).read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such file"), (401, "may not be read"), (403, "may not be read"), (418, "418")]
)
def test_a_refusal_is_told_at_once(site: Site, status: int, words: str) -> None:
    site.said["/file"] = (status, {}, b"")
    with pytest.raises((SourceNotFound, DownloadFailed), match=words):
        get(site)
    assert len(site.asked) == 1


def test_redirects_are_followed(site: Site) -> None:
    site.moved["/here"] = site.address + "/file"
    assert get(site, "/here").read_bytes() == DATA


def test_nobody_listens() -> None:
    with pytest.raises(DownloadFailed):
        fetch(Download("http://127.0.0.1:9/file", "file"), SilentProgress())


def test_a_full_disk_is_told_before_anything_is_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(CacheFull):
        get(site)


def test_two_at_once_fetch_it_once(site: Site) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(get(site))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(site.asked) == 1


def test_secrets_in_an_address_are_not_told(site: Site) -> None:
    with pytest.raises(SourceNotFound) as caught:
        get(site, "/nothing?token=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "told"), [("http://nowhere.invalid/f", "Check the network; "), ("http://127.0.0.1:1/f", "Try again")]
)
def test_what_to_do_is_told_by_whether_there_is_a_way(address: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for ask in (lambda: fetch(Download(address, "f"), SilentProgress()), lambda: downloads.ask(address, "*/*")):
        with pytest.raises(DownloadFailed) as caught:
            ask()
        assert caught.value.hint.startswith(told)
