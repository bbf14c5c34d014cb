"""Bodies of several parts, as forms with files are sent: `multipart/form-data` (RFC 7578).

Knows their form. Refuses to know what any part is for. The body is at hand as a whole (`receiving.py`), so it is taken
apart as it lies; aiohttp's own reader takes it from the connection.
"""

from __future__ import annotations

import re

import msgspec

from runtime.server.dialect import FORM
from runtime.server.refusals import BadRequest

_MOST_PARTS = 64
_MOST_OF_HEAD = 8 * 1024
"""Bytes before a part's content: its name, and that of its file."""

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*?;\s*name=(?:"([^"\r\n]*)"|([^\s;\r\n]+))')


class FormPart(msgspec.Struct, frozen=True):
    """What was sent as `name`."""

    name: str
    content: bytes

    @property
    def text(self) -> str:
        """Raises `BadRequest` where it is none."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"{self.name}: must be text in UTF-8", self.name) from error


def form_parts(content_type: str, body: bytes) -> list[FormPart]:
    """The parts of `body`, in order. Raises `BadRequest`."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith(FORM) or found is None:
        raise BadRequest(f"the body must be a form with a file, of the content type {FORM} with a boundary")
    limit = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    parts: list[FormPart] = []
    place = 0 if body.startswith(limit) else _after(body, b"\r\n" + limit, 0) - len(limit)
    while True:
        begin = place + len(limit)
        if body.startswith(b"--", begin):
            return parts
        if len(parts) == _MOST_PARTS:
            raise BadRequest(f"a form may have {_MOST_PARTS} parts at most")
        # the content may be empty: then the line end of its head is that of the next boundary, too
        content = _after(body[: begin + _MOST_OF_HEAD], b"\r\n\r\n", begin)
        end = body.find(b"\r\n" + limit, content)
        if end < 0:
            raise _broken()
        parts.append(FormPart(_name(body[begin:content]), body[content:end]))
        place = end + 2


def _name(head: bytes) -> str:
    found = _NAME.search(head)
    if found is None:
        raise BadRequest("a part of the form has no name", hint='Name each, as in name="file".')
    return (found[1] if found[1] is not None else found[2]).decode(errors="replace")


def _after(body: bytes, mark: bytes, start: int) -> int:
    """The place behind the next `mark`. Raises `BadRequest` where there is none."""
    place = body.find(mark, start)
    if place < 0:
        raise _broken()
    return place + len(mark)


def _broken() -> BadRequest:
    return BadRequest("the form is broken off, or not what its boundary says", hint="Let a client's library write it.")
