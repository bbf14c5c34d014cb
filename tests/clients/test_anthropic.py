"""Anthropic's own client against the real demo bundle: what it makes of our answers, streams, counts and errors."""

from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest

from support.bundles import Server

GREEDY: Any = {"temperature": 0}
"""Goes as `extra_body`: newer clients have no name for what older ones send."""

MOON: Any = [{"role": "user", "content": "The first man on the moon was ..."}]


@pytest.fixture(scope="module")
def client(server: Server) -> anthropic.Anthropic:
    """Without retries: what the server refuses once, it would refuse again."""
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60)


def ask(client: anthropic.Anthropic, **fields: Any) -> anthropic.types.Message:
    asked: dict[str, Any] = {"model": "demo", "max_tokens": 64, "messages": MOON, "extra_body": GREEDY} | fields
    return client.messages.create(**asked)


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message(client: anthropic.Anthropic) -> None:
    message = ask(client)
    assert "Neil Armstrong" in text_of(message)
    assert (message.type, message.role, message.model) == ("message", "assistant", "demo")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.output_tokens > 0


def test_a_message_that_the_client_assembles_from_a_stream_is_the_same(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="demo", max_tokens=64, messages=MOON, extra_body=GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    whole = ask(client)
    assert text == text_of(final) == text_of(whole)
    assert (final.stop_reason, final.stop_sequence) == ("end_turn", None)
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert all_input(final) == all_input(whole)


def test_the_events_of_a_stream_are_anthropic_s(client: anthropic.Anthropic) -> None:
    events = list(client.messages.create(model="demo", max_tokens=64, messages=MOON, extra_body=GREEDY, stream=True))
    kinds = [event.type for event in events]
    n = kinds.count("content_block_delta")
    assert n > 3
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * n,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    started = events[0]
    assert started.type == "message_start"
    assert started.message.content == []
    assert started.message.usage.input_tokens > 0


def test_every_event_is_named_by_its_type(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = {"model": "demo", "max_tokens": 8, "messages": MOON, "stream": True}
    connection.request("POST", "/v1/messages", json.dumps(body))
    response = connection.getresponse()
    assert response.headers.get_content_type() == "text/event-stream"
    for event in response.read().decode().strip().split("\n\n"):
        name, data = event.split("\n")
        assert name == f"event: {json.loads(data.removeprefix('data: '))['type']}"
    connection.close()


def test_an_asynchronous_client(server: Server) -> None:
    async def ask_twice() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0) as client:
            message = await client.messages.create(model="demo", max_tokens=64, messages=MOON, extra_body=GREEDY)
            async with client.messages.stream(model="demo", max_tokens=64, messages=MOON, extra_body=GREEDY) as stream:
                return text_of(message), "".join([text async for text in stream.text_stream])

    whole, streamed = asyncio.run(ask_twice())
    assert "Neil Armstrong" in whole
    assert streamed == whole


def test_a_system_prompt_and_a_conversation_in_blocks(client: anthropic.Anthropic) -> None:
    cached: Any = {"type": "text", "text": "You are a helpful assistant.", "cache_control": {"type": "ephemeral"}}
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "It is in Europe.", "signature": ""},
                {"type": "redacted_thinking", "data": "AAAA"},
                {"type": "text", "text": "The capital of France is Paris."},
            ],
        },
        {"role": "user", "content": "And of Italy?"},
    ]
    assert "Rome" in text_of(ask(client, messages=messages))
    assert "Neil Armstrong" in text_of(ask(client, system=[cached], metadata={"user_id": "x"}, service_tier="auto"))


def test_why_a_message_ends(client: anthropic.Anthropic) -> None:
    stopped = ask(client, stop_sequences=["Arm"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Arm")
    assert text_of(stopped).rstrip().endswith("Neil")
    cut = ask(client, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)


def test_what_came_from_the_cache_is_counted_apart(client: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "A long question that nobody else asks in these tests. " * 10}]
    first = ask(client, messages=messages, max_tokens=1)
    again = ask(client, messages=messages, max_tokens=1)
    assert again.usage.input_tokens == 1
    assert all_input(again) == all_input(first)
    with client.messages.stream(model="demo", max_tokens=1, messages=messages) as stream:
        assert stream.get_final_message().usage.cache_read_input_tokens == again.usage.cache_read_input_tokens


def test_counting_tokens(client: anthropic.Anthropic) -> None:
    count = client.messages.count_tokens(model="demo", messages=MOON).input_tokens
    assert count == all_input(ask(client))
    assert client.messages.count_tokens(model="demo", messages=MOON, system="Be brief.").input_tokens > count


WEATHER: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
GET_WEATHER: Any = {
    "name": "get_weather",
    "description": "Get the current weather for a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_a_tool_is_called_and_its_result_answered(client: anthropic.Anthropic) -> None:
    asked = ask(client, messages=WEATHER, tools=[GET_WEATHER])
    assert asked.stop_reason == "tool_use"
    call = asked.content[-1]
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Sunny, 20 °C"}]}
    turns = [*WEATHER, asked.to_param(), {"role": "user", "content": [result]}]
    told = ask(client, messages=turns, tools=[GET_WEATHER])
    assert told.stop_reason == "end_turn"
    assert "sunny" in text_of(told)


def test_a_call_comes_in_pieces(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "demo", "max_tokens": 64, "messages": WEATHER, "extra_body": GREEDY}
    with client.messages.stream(**asked, tools=[GET_WEATHER]) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert len(pieces) > 2
    assert json.loads("".join(pieces)) == {"city": "Paris"}
    assert [(block.type, block.input) for block in final.content if block.type == "tool_use"] == [
        ("tool_use", {"city": "Paris"})
    ]
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_tool_that_must_be_called(client: anthropic.Anthropic, choice: Any) -> None:
    hello: Any = [{"role": "user", "content": "Hello!"}]
    assert ask(client, messages=hello, tools=[GET_WEATHER]).stop_reason == "end_turn"
    message = ask(client, messages=hello, tools=[GET_WEATHER], tool_choice=choice)
    assert message.stop_reason == "tool_use"
    assert [block.name for block in message.content if block.type == "tool_use"] == ["get_weather"]


def test_tools_that_must_not_be_called(client: anthropic.Anthropic) -> None:
    message = ask(client, messages=WEATHER, tools=[GET_WEATHER], tool_choice={"type": "none"})
    assert [block.type for block in message.content] == ["text"]


def test_the_answer_goes_on_from_the_assistant_s_last_words(client: anthropic.Anthropic) -> None:
    question = {"role": "user", "content": "Who was the first man on the moon?"}
    begun = {"role": "assistant", "content": "The first man on the moon was Neil"}
    assert text_of(ask(client, messages=[question, begun])).startswith(" Armstrong")


class Astronaut(pydantic.BaseModel):
    name: str
    year: int


def test_an_answer_in_a_given_form(client: anthropic.Anthropic) -> None:
    question: Any = [{"role": "user", "content": "Describe Neil Armstrong as JSON with name and year."}]
    asked: dict[str, Any] = {"model": "demo", "max_tokens": 64, "messages": question, "extra_body": GREEDY}
    parsed = client.messages.parse(**asked, output_format=Astronaut).parsed_output
    assert parsed == Astronaut(name="Neil Armstrong", year=1969)


def all_input(message: anthropic.types.Message) -> int:
    return message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
BAD_REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("no messages", {"messages": []}, "messages"),
    ("max_tokens below 0", {"max_tokens": -1}, "max_tokens"),
    ("a wrong type, named", {"max_tokens": "many"}, "max_tokens"),
    ("a role nobody knows", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ("a picture", {"messages": [{"role": "user", "content": [PICTURE]}]}, "messages[0].content[0]: this model takes"),
    (
        "a block nobody knows",
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
        "messages[0].content[0]: this model takes text only, not 'hologram'",
    ),
    (
        "a call of the user's",
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]},
        "messages[0].content[0]: this model takes text only, not 'tool_use'",
    ),
    (
        "a demand for a tool of Anthropic's",
        {"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        "'web_search'",
    ),
    ("a tool without a schema", {"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ("a tool without a name", {"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ("a choice without a name", {"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ("a choice of a tool that is not there", {"tool_choice": {"type": "tool", "name": "f"}}, "'f'"),
    ("a call that must be and cannot", {"tool_choice": {"type": "any"}}, "there are none"),
    (
        "a schema that goes round",
        {"output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#"}}}},
        "schema",
    ),
    ("stop sequences without end", {"stop_sequences": ["s"] * 10_000}, "stop_sequences"),
    ("a prompt over the context", {"system": "word " * 30_000}, "prompt is too long: "),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("fields", "says"), [row[1:] for row in BAD_REQUESTS], ids=[row[0] for row in BAD_REQUESTS])
def test_bad_requests_raise_what_the_client_documents(
    client: anthropic.Anthropic, fields: dict[str, Any], says: str, stream: bool
) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, **fields, stream=stream)
    assert caught.value.type == "invalid_request_error"
    assert says in str(caught.value.api_message)


def test_a_key_that_is_wrong(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--api-key", "swordfish", cache=warm_cache) as server:
        keyed = anthropic.Anthropic(base_url=server.url, api_key="swordfish", max_retries=0)
        assert keyed.messages.count_tokens(model="demo", messages=MOON).input_tokens > 0
        with pytest.raises(anthropic.AuthenticationError) as caught:
            keyed.copy(api_key="perch").messages.count_tokens(model="demo", messages=MOON)
        assert caught.value.type == "authentication_error"


def test_what_is_missing_is_named(server: Server) -> None:
    status, body = server.post("/v1/messages", {"messages": MOON})
    assert status == 400
    assert body["type"] == "error"
    assert "max_tokens" in body["error"]["message"]


def test_other_errors_are_in_anthropic_s_form_too(server: Server, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.post("/v1/messages/batches", cast_to=object, body={})
    assert missing.value.type == "not_found_error"
    status, body = server.get("/v1/messages")
    assert (status, body["type"], body["error"]["type"]) == (405, "error", "invalid_request_error")
    status, body = server.post("/v1/messages", b'{"system":"' + b"x" * (65 * 1024 * 1024) + b'"}')
    assert (status, body["error"]["type"]) == (413, "request_too_large")
