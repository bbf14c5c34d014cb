"""Answers that are found again by their ids: how many, of how many bytes, and which conversation goes on from which."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import NotFoundError, OpenAI

from runtime.server.openai.memory import AnswerMemory, Kept
from runtime.server.refusals import UnknownAnswer
from support.apps import TextModel, opened, with_port
from support.bundles import Server
from support.fakes import FakeContext

MOON = "Who was the first man on the moon?"
SHORT = {"max_output_tokens": 3, "temperature": 0}


# -- the memory -------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60), st.sampled_from(["keep", "find", "forget"])))
)
def test_it_never_holds_more_than_it_may(steps: list[tuple[str, int, str]]) -> None:
    memory = AnswerMemory(most_answers=4, most_bytes=100)
    held: dict[str, int] = {}
    """What it must hold, the longest untouched first."""
    for id_, size, step in steps:
        if step == "keep":
            held.pop(id_, None)
            held[id_] = size + 2
            memory.keep(id_, Kept(b"x" * size))
            while len(held) > 4 or sum(held.values()) > 100:
                held.pop(next(iter(held)))
        elif id_ in held:
            if step == "find":
                memory.find(id_)
                held[id_] = held.pop(id_)
            else:
                memory.forget(id_)
                held.pop(id_)
        else:
            with pytest.raises(UnknownAnswer):
                memory.find(id_)
    assert sum(held.values()) <= 100
    for id_ in "abcdefgh":
        if id_ in held:
            memory.find(id_)
        else:
            with pytest.raises(UnknownAnswer):
                memory.forget(id_)


def test_what_is_too_large_to_keep_is_not_kept() -> None:
    memory = AnswerMemory(most_bytes=10)
    memory.keep("a", Kept(b"x" * 100))
    with pytest.raises(UnknownAnswer):
        memory.find("a")


def test_a_conversation_is_kept_as_long_as_somebody_goes_on_from_it() -> None:
    memory = AnswerMemory(most_answers=3)
    memory.keep("a", Kept(b"1"))
    memory.keep("b", Kept(b"2", previous="a"))
    memory.keep("x", Kept(b"x"))
    assert [kept.answer for kept in memory.conversation("b")] == [b"1", b"2"]
    memory.keep("c", Kept(b"3", previous="b"))
    assert [kept.answer for kept in memory.conversation("c")] == [b"1", b"2", b"3"]
    with pytest.raises(UnknownAnswer):
        memory.find("x")


# -- responses --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on_from_an_answer(server: Server, client: OpenAI, stream: bool) -> None:
    """It is the one that would be had by sending all of it, and computes what is new only."""
    asked: dict[str, Any] = {"model": "demo", "temperature": 0, "max_output_tokens": 30}
    if stream:
        events = list(client.responses.create(input=MOON, stream=True, **asked))
        first = events[-1].response
    else:
        first = client.responses.create(input=MOON, **asked)
    second = client.responses.create(input="When?", previous_response_id=first.id, **asked)
    assert second.previous_response_id == first.id
    whole = [
        {"role": "user", "content": MOON},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "When?"},
    ]
    _status, replayed = server.post("/v1/responses", asked | {"input": whole, "store": False})
    assert replayed["output"][0]["content"][0]["text"] == second.output_text
    assert replayed["usage"]["input_tokens"] == second.usage.input_tokens
    counted = server.post("/v1/responses/input_tokens", {"input": "When?", "previous_response_id": first.id})[1]
    assert counted["input_tokens"] == second.usage.input_tokens


def test_a_response_is_told_and_forgotten(client: OpenAI) -> None:
    first = client.responses.create(model="demo", input=MOON, metadata={"a": "b"}, **SHORT)
    assert client.responses.retrieve(first.id).model_dump() == first.model_dump()
    assert client.responses.cancel(first.id).status == first.status, "it has ended"
    second = client.responses.create(
        model="demo", input=[{"role": "user", "content": "So?"}], previous_response_id=first.id, **SHORT
    )
    items = client.responses.input_items.list(second.id, order="asc")
    assert [item.content[0].text for item in items] == [MOON, first.output_text, "So?"]
    newest = client.responses.input_items.list(second.id, limit=1)
    assert newest.data[0].content[0].text == "So?"
    assert newest.has_more
    client.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)


def test_what_is_not_to_be_kept_is_not(server: Server) -> None:
    _status, response = server.post("/v1/responses", {"input": MOON, "store": False, **SHORT})
    assert response["store"] is False
    for path in (response["id"], f"{response['id']}/input_items", "resp_unknown"):
        status, body = server.get(f"/v1/responses/{path}")
        assert (status, body["error"]["type"]) == (404, "not_found_error")
    status, body = server.post("/v1/responses", {"input": "So?", "previous_response_id": response["id"]})
    assert (status, body["error"]["param"]) == (400, "previous_response_id")


def test_a_preload_is_answered(server: Server) -> None:
    """codex --oss asks so for a model to be loaded; any other empty input asks for nothing."""
    for asked in ({"input": ""}, {"input": []}, {"input": None}, {}):
        status, body = server.post("/v1/responses", asked | {"max_output_tokens": 1})
        assert (status, body["object"]) == (200, "response"), body
        assert server.post("/v1/responses", asked | {"max_output_tokens": 9})[0] == 400


def test_a_response_that_is_being_made_is_cancelled() -> None:
    """Whether it runs or waits for a slot. Its stream ends, and it is told as cancelled from then on."""
    context = FakeContext(n_ctx=2000, n_batch=512, n_slots=1, model=TextModel(), gate=threading.Semaphore(1))

    async def body(port: int) -> None:
        assert context.gate is not None
        async with opened(port, "/v1/responses", {"input": "hi", "stream": True}) as running:
            created = await running.reader.readuntil(b"response.output_text.delta")
            id_ = json.loads(created.split(b"data: ")[1].split(b"\n")[0])["response"]["id"]
            async with opened(port, f"/v1/responses/{id_}/cancel", {}) as answer:
                assert json.loads(await answer.rest())["status"] == "cancelled"
            context.gate.release(1000)
            rest = await running.rest()
            assert b'"type":"response.incomplete"' in rest
            assert b'"status":"cancelled"' in rest
        told = await asyncio.to_thread(get, port, f"/v1/responses/{id_}")
        assert told["status"] == "cancelled"

    with_port(context, body)


def get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


# -- chats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_told_where_it_was_to_be_kept(server: Server, client: OpenAI, stream: bool) -> None:
    asked: dict[str, Any] = {
        "model": "demo",
        "messages": [{"role": "user", "content": MOON}],
        "max_tokens": 5,
        "temperature": 0,
        "n": 2,
        "logprobs": True,
        "store": True,
        "metadata": {"a": "b"},
    }
    if stream:
        chunks = list(client.chat.completions.create(stream=True, **asked))
        id_ = chunks[0].id
        text = "".join(
            one.choices[0].delta.content or "" for one in chunks if one.choices and one.choices[0].index == 1
        )
    else:
        answer = client.chat.completions.create(**asked)
        id_, text = answer.id, answer.choices[1].message.content or ""
    told = client.chat.completions.retrieve(id_)
    assert told.choices[1].message.content == text
    assert len(told.choices[1].logprobs.content) == told.usage.completion_tokens / 2
    assert told.metadata == {"a": "b"}
    assert client.chat.completions.delete(id_).deleted
    assert server.get(f"/v1/chat/completions/{id_}")[0] == 404


def test_a_chat_is_not_kept_by_itself(server: Server) -> None:
    _status, body = server.post(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}
    )
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 0
    assert server.get(f"/v1/chat/completions/{body['id']}")[0] == 404
