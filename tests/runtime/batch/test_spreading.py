"""What goes to which server, as properties over any order of arrivals and ends; and what belongs together."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batch.beginnings import beginning_of
from runtime.batch.spreading import Place, Spreading

SYSTEM = {"role": "system", "content": "You answer shortly."}
DOCUMENT = "A text about the moon. " * 20


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [*messages], **more}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


ALIKE: list[tuple[str, Any, Any]] = [
    ("a conversation and how it goes on", chat(user("a")), chat(user("a"), {"role": "assistant", "content": "b"})),
    ("other settings", chat(user("a"), temperature=0), chat(user("a"), temperature=1, max_tokens=3)),
    ("questions about one document", chat(user(f"{DOCUMENT} How far?")), chat(user(f"{DOCUMENT} How old?"))),
    ("a text and its only part", chat(user("a")), chat(user([{"type": "text", "text": "a"}]))),
    ("texts that go on", {"prompt": f"{DOCUMENT} once"}, {"prompt": f"{DOCUMENT} twice"}),
    ("tokens that go on", {"prompt": [7] * 80}, {"prompt": [7] * 70}),
    ("the other API's items", {"input": [user("a")]}, {"input": [user("a"), user("b")]}),
]
NOT_ALIKE: list[tuple[str, Any, Any]] = [
    ("another question", chat(user("a")), chat(user("b"))),
    ("the same system prompt", chat(SYSTEM, user("a")), chat(SYSTEM, user("b"))),
    ("other texts", {"prompt": "a"}, {"prompt": "b"}),
    ("other tokens", {"prompt": [1, 2]}, {"prompt": [1, 3]}),
    ("other pictures", chat(user([{"image_url": "a"}])), chat(user([{"image_url": "b"}]))),
]
ODD = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'{"messages": 7}',
    b'{"messages": []}',
    b'{"messages": [[]]}',
    b'{"input": {}}',
]


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in ALIKE], ids=[row[0] for row in ALIKE])
def test_these_belong_together(one: Any, other: Any) -> None:
    assert beginning_of(json.dumps(one).encode()) == beginning_of(json.dumps(other).encode()) != b""


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in NOT_ALIKE], ids=[row[0] for row in NOT_ALIKE])
def test_these_do_not(one: Any, other: Any) -> None:
    assert beginning_of(json.dumps(one).encode()) != beginning_of(json.dumps(other).encode())


@pytest.mark.parametrize("body", ODD)
def test_what_is_no_request_belongs_somewhere(body: bytes) -> None:
    assert isinstance(beginning_of(body), bytes)


def places(*at_once: int) -> list[Place]:
    return [Place(f"http://{number}", count) for number, count in enumerate(at_once)]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_everything_is_done_once_and_nobody_stands_idle(at_once: list[int], data: st.DataObject) -> None:
    """Whatever comes, ends, goes and comes back."""
    spreading: Spreading[int] = Spreading(places(*at_once))
    under_way: list[tuple[Place, int, bytes]] = []
    added, done = 0, Counter[int]()
    for step in data.draw(st.lists(st.sampled_from(["add", "end", "out", "back"]), max_size=60)):
        place = data.draw(st.sampled_from(spreading.places))
        if step == "add":
            spreading.add(added, bytes([data.draw(st.integers(0, 3))]))
            added += 1
        elif step == "end" and under_way:
            ended = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            spreading.end(ended[0])
            if ended[0].is_out:
                spreading.add(ended[1], ended[2], first=True)
            else:
                done[ended[1]] += 1
        elif step == "out":
            spreading.put_out(place)
        elif step == "back":
            spreading.take_back(place)
        under_way += spreading.begin()
        for one in spreading.places:
            assert sum(begun is one for begun, _item, _key in under_way) == one.busy <= one.at_once
        waits = added - len(under_way) - done.total()
        assert not waits or all(one.is_out or one.busy == one.at_once for one in spreading.places)
    under_way_items = [item for _place, item, _key in under_way]
    assert sorted([*done.elements(), *under_way_items, *spreading.drain()]) == list(range(added))


def test_what_begins_alike_goes_to_one_server_while_that_has_room() -> None:
    spreading: Spreading[int] = Spreading(places(4, 4, 4))
    went: dict[bytes, set[str]] = defaultdict(set)
    for item in range(60):
        key = bytes([item % 6])
        spreading.add(item, key)
        for place, _item, begun in spreading.begin():
            went[begun].add(place.name)
            spreading.end(place)
    assert {len(names) for names in went.values()} == {1}
    assert len(set.union(*went.values())) > 1, "and not all to the same one"


def test_a_server_that_goes_moves_only_what_was_its_own() -> None:
    def owners(out: int | None) -> dict[int, str]:
        spreading: Spreading[int] = Spreading(places(100, 100, 100))
        if out is not None:
            spreading.put_out(spreading.places[out])
        for key in range(60):
            spreading.add(key, bytes([key]))
        return {item: place.name for place, item, _key in spreading.begin()}

    before, after = owners(None), owners(1)
    assert {key for key in before if before[key] != after[key]} == {key for key in before if before[key] == "http://1"}
