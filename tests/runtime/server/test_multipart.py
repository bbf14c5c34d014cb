"""Forms with files, as clients and attackers send them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.server.multipart import form_parts
from runtime.server.refusals import BadRequest

FORM = "multipart/form-data; boundary="


def form(parts: list[tuple[str, bytes]], boundary: str = "b") -> bytes:
    head = 'Content-Disposition: form-data; name="{}"'
    return b"".join(
        b"--" + boundary.encode() + b"\r\n" + head.format(name).encode() + b"\r\n\r\n" + content + b"\r\n"
        for name, content in parts
    ) + (b"--" + boundary.encode() + b"--\r\n")


@given(
    st.lists(st.tuples(st.text("abcdef_[]", min_size=1), st.binary()), max_size=8),
    st.sampled_from(["b", "----WebKitFormBoundaryx", "0123456789"]),
)
@example([("file", b"\r\n--c\r\n\r\n"), ("x", b"\r\n"), ("y", b"")], "b")
@settings(deadline=None)
def test_what_goes_in_comes_out(parts: list[tuple[str, bytes]], boundary: str) -> None:
    if any(b"--" + boundary.encode() in content for _name, content in parts):
        return
    found = form_parts(f"{FORM}{boundary}", form(parts, boundary))
    assert [(one.name, one.content) for one in found] == parts


@given(st.binary(max_size=300), st.booleans())
@settings(deadline=None)
def test_nothing_does_more_than_be_refused(noise: bytes, within: bool) -> None:
    try:
        form_parts(f"{FORM}b", form([("a", noise)])[: len(noise)] if within else noise)
    except BadRequest:
        return


HEADS = [
    (b'Content-Disposition: form-data; name="file"; filename="a;b.wav"\r\nContent-Type: audio/wav', "file"),
    (b'content-disposition: form-data; filename="name.wav"; name="file"', "file"),
    (b"Content-Disposition: form-data; name=file", "file"),
    (b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="file"', "file"),
]


@pytest.mark.parametrize(("head", "name"), HEADS)
@pytest.mark.parametrize("boundary", ["x y", "x"])
def test_heads_as_clients_write_them(head: bytes, name: str, boundary: str) -> None:
    body = b"a preamble\r\n--" + boundary.encode() + b"\r\n" + head + b"\r\n\r\ndata\r\n--" + boundary.encode() + b"--"
    (part,) = form_parts(f'{FORM}"{boundary}"', body)
    assert (part.name, part.content) == (name, b"data")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", form([])),
        ("multipart/mixed; boundary=b", form([])),
        (f"{FORM}b", b""),
        (f"{FORM}b", form([("a", b"x")])[:-6]),
        (f"{FORM}b", b"--b\r\n\r\n\r\nx\r\n--b--"),
        (f"{FORM}b", b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\nx\r\n--b--"),
        (f"{FORM}b", form([("a", b"")] * 65)),
        (f"{FORM}{'b' * 71}", form([], "b" * 71)),
    ],
)
def test_what_is_no_form_is_told(content_type: str, body: bytes) -> None:
    with pytest.raises(BadRequest):
        form_parts(content_type, body)
