"""What a line asks for: OpenAI's form of it, `{"custom_id", "method", "url", "body"}`.

Knows the line. The body is for the handler of its url, which takes it as it stands.
"""

from __future__ import annotations

import msgspec

from runtime.batch.errors import LineRefused

URLS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


class BatchRequest(msgspec.Struct, frozen=True):
    """`custom_id` is how its result is found, `body` its JSON."""

    custom_id: str
    url: str
    body: bytes


class _Line(msgspec.Struct, frozen=True):
    custom_id: str
    url: str
    body: msgspec.Raw
    method: str = "POST"


class _Named(msgspec.Struct, frozen=True):
    custom_id: str


class _Streamed(msgspec.Struct, frozen=True):
    stream: bool | None = None


def parse_request(line: bytes) -> BatchRequest:
    """What `line` asks for. Raises `LineRefused`."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.ValidationError as error:
        raise LineRefused("invalid_line", f"the line is no request: {error}", _name(line)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineRefused("invalid_json", f"the line is not valid JSON: {error}") from error
    if not found.custom_id:
        raise LineRefused("invalid_line", "custom_id: must not be empty")
    if found.method != "POST":
        raise LineRefused("invalid_method", f"method: must be POST, not {found.method!r}", found.custom_id)
    if found.url not in URLS:
        raise LineRefused("invalid_url", f"url: must be one of {', '.join(URLS)}, not {found.url!r}", found.custom_id)
    body = bytes(found.body)
    if _streams(body):
        raise LineRefused(
            "stream_unsupported", "stream: must be left out: results of a batch are whole", found.custom_id
        )
    return BatchRequest(found.custom_id, found.url, body)


def _name(line: bytes) -> str | None:
    """By what a line is known that is no request."""
    try:
        return msgspec.json.decode(line, type=_Named).custom_id or None
    except msgspec.ValidationError:
        return None


def _streams(body: bytes) -> bool:
    """Whether it asks for a stream; what else is wrong with it, its handler says better."""
    try:
        return bool(msgspec.json.decode(body, type=_Streamed).stream)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
