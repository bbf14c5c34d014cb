"""What comes into a batch: lines, whatever they hold, and what each asks for."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from pathlib import Path

import pytest

from runtime.batch import reading
from runtime.batch.errors import LineRefused
from runtime.batch.reading import Line, ReadAhead, count_lines
from runtime.batch.requests import URLS, BatchRequest, parse_request

# -- what a line asks for ----------------------------------------------------------------------------------------------


def test_a_line_is_a_request() -> None:
    body = b'{"messages": [{"role": "user", "content": "caf\xc3\xa9"}]}'
    for url in URLS:
        line = b'{"custom_id": "a", "method": "POST", "url": "' + url.encode() + b'", "body": ' + body + b"}"
        assert parse_request(line) == BatchRequest("a", url, body)


REFUSED: list[tuple[str, bytes, str, str | None]] = [
    ("no JSON", b"{", "invalid_json", None),
    ("not UTF-8", b'{"custom_id": "\xff", "url": "/v1/completions", "body": {}}', "invalid_json", None),
    ("deep", b'{"body": ' + b"[" * 100_000, "invalid_json", None),
    ("a list", b"[]", "invalid_line", None),
    ("no name", b'{"url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("a number for a name", b'{"custom_id": 7, "url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("an empty name", b'{"custom_id": "", "url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("no body", b'{"custom_id": "a", "url": "/v1/completions"}', "invalid_line", "a"),
    ("no url", b'{"custom_id": "a", "body": {}}', "invalid_line", "a"),
    ("another url", b'{"custom_id": "a", "url": "/slots", "body": {}}', "invalid_url", "a"),
    ("GET", b'{"custom_id": "a", "method": "GET", "url": "/v1/completions", "body": {}}', "invalid_method", "a"),
    ("a stream", b'{"custom_id": "a", "url": "/v1/completions", "body": {"stream": true}}', "stream_unsupported", "a"),
]


@pytest.mark.parametrize(("line", "code", "name"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_line_that_is_none_is_told_by_its_name(line: bytes, code: str, name: str | None) -> None:
    with pytest.raises(LineRefused) as refused:
        parse_request(line)
    assert (refused.value.code, refused.value.custom_id) == (code, name)


# -- lines -------------------------------------------------------------------------------------------------------------


def lines_of(data: bytes) -> list[Line]:
    async def read() -> list[Line]:
        ahead = ReadAhead(io.BytesIO(data))
        lines = []
        while (line := await ahead.next()) is not None:
            lines.append(line)
        assert await ahead.next() is None, "whoever asks later is told, too"
        return lines

    return asyncio.run(read())


def test_lines_keep_their_numbers_and_blank_ones_are_none() -> None:
    assert lines_of(b"a\n\n \t\r\nb") == [Line(1, b"a\n"), Line(4, b"b")]
    assert lines_of(b"") == []


def test_a_line_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 8)
    monkeypatch.setattr(reading, "_BLOCK", 4)
    assert lines_of(b"12345678\n123456789\nb\n" + b"x" * 50) == [
        Line(1, b"12345678\n"), Line(2, None), Line(3, b"b\n"), Line(4, None),
    ]  # fmt: skip


def test_an_error_of_reading_is_everybodys() -> None:
    class Broken(io.BytesIO):
        def readline(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def read() -> None:
        ahead = ReadAhead(Broken())
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                await ahead.next()

    asyncio.run(read())


def test_lines_are_counted_where_they_stay(tmp_path: Path) -> None:
    for text, count in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2)):
        (tmp_path / "in").write_bytes(text)
        assert count_lines(tmp_path / "in") == count
    assert count_lines(Path("-")) is None
