"""How much a body may be made of: what counts is counted as a parser would, whatever is in its strings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from runtime.server import json_structure
from runtime.server.json_structure import check_structure
from runtime.server.refusals import BadRequest

VALUES = some.recursive(
    some.none() | some.integers() | some.text('[{,:"\\}]ä\n', max_size=8),
    lambda inner: some.lists(inner, max_size=6) | some.dictionaries(some.text('[{,"\\', max_size=4), inner, max_size=6),
    max_leaves=40,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_structure, "MOST_VALUES", 12)
    monkeypatch.setattr(json_structure, "MOST_CONTAINERS", 6)
    monkeypatch.setattr(json_structure, "_PIECE", 5)


@pytest.mark.usefixtures("small")
@given(VALUES, some.booleans())
def test_only_what_is_outside_of_strings_counts(value: Any, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode()
    commas, containers = counted(value)
    try:
        check_structure(body)
    except BadRequest:
        assert commas >= 12 or containers > 6
    else:
        assert commas < 12
        assert containers <= 6


def counted(value: Any) -> tuple[int, int]:
    """(commas between values, objects and arrays) of it."""
    if not isinstance(value, (list, dict)):
        return 0, 0
    inner = [counted(one) for one in (value.values() if isinstance(value, dict) else value)]
    return max(len(value) - 1, 0) + sum(one[0] for one in inner), 1 + sum(one[1] for one in inner)


@pytest.mark.parametrize("body", [b"[" * 10**6, b'{"' * 10**6, b'\\"' * 10**6 + b"," * 10**6, b'"",' * 10**6])
def test_what_is_no_json_at_all_is_counted_too(body: bytes) -> None:
    with pytest.raises(BadRequest, match="more than"):
        check_structure(body)
