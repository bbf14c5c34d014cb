"""The `openai` package, unmodified, against the real bundle: what its users call, and what they read of the answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from support.bundles import Server

QUESTION: list[Any] = [{"role": "user", "content": "Who was the first man on the moon?"}]
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
ANSWER = "Neil Armstrong"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
DESCRIBED = {"name": "get_weather", "description": "Get the current weather for a city.", "parameters": PARAMETERS}
TOOL: Any = {"type": "function", "function": DESCRIBED}
RESPONSES_TOOL: Any = {"type": "function", **DESCRIBED, "strict": True}
GREEDY: dict[str, Any] = {"model": "demo", "temperature": 0}


class Person(BaseModel):
    name: str
    year: int


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


# -- chat -------------------------------------------------------------------------------------------------------


def test_chat(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=QUESTION, **GREEDY)
    assert ANSWER in (done.choices[0].message.content or "")
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    assert done.usage.prompt_tokens_details is not None
    assert done.usage.completion_tokens_details is not None


def test_what_the_first_man_on_the_moon_was(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "The first man on the moon was ..."}]
    assert ANSWER in (client.chat.completions.create(messages=messages, **GREEDY).choices[0].message.content or "")


def test_a_chat_stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(messages=QUESTION, stream=True, stream_options={"include_usage": True}, **GREEDY)
    )
    text = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert ANSWER in "".join(text)
    assert sum(map(bool, text)) > 5, "token by token"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens >= sum(map(bool, text))


def test_the_first_chunk_comes_before_the_last_token_exists(client: openai.OpenAI) -> None:
    """An endless answer is read in part, and left."""
    asked = {"ignore_eos": True, "max_tokens": 100_000}
    with client.chat.completions.create(messages=QUESTION, stream=True, extra_body=asked, **GREEDY) as stream:
        for _ in range(3):
            assert next(stream).choices[0].finish_reason is None


def test_chat_asynchronously(server: Server) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            whole = await client.chat.completions.create(messages=QUESTION, **GREEDY)
            stream = await client.chat.completions.create(messages=QUESTION, stream=True, **GREEDY)
            return whole.choices[0].message.content or "", "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream]
            )

    whole, streamed = asyncio.run(ask())
    assert whole == streamed
    assert ANSWER in whole


def test_text_of_every_kind_arrives_whole(client: openai.OpenAI) -> None:
    for prompt, expected in [("用中文打个招呼", "你好！我是一个很小的模型。"), ("Write an emoji story.", "👩‍🚀")]:
        messages: list[Any] = [{"role": "user", "content": prompt}]
        stream = client.chat.completions.create(messages=messages, stream=True, **GREEDY)
        assert expected in "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_structured_answers(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "Describe Neil Armstrong as JSON with name and year."}]
    done = client.chat.completions.parse(messages=messages, response_format=Person, **GREEDY)
    assert done.choices[0].message.parsed == Person(name=ANSWER, year=1969)
    with client.chat.completions.stream(messages=messages, response_format=Person, **GREEDY) as stream:
        kinds = [event.type for event in stream]
        assert "content.delta" in kinds
        assert stream.get_final_completion().choices[0].message.parsed == Person(name=ANSWER, year=1969)


def test_a_structured_answer_that_is_cut_off(client: openai.OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(messages=QUESTION, response_format=Person, max_tokens=2, **GREEDY)


def test_several_answers(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=QUESTION, n=3, **GREEDY)
    assert [choice.index for choice in done.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in done.choices}) == 1


def test_logprobs(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=3, **GREEDY)
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(one.token for one in logprobs.content).startswith(done.choices[0].message.content or "-")
    assert all(len(one.top_logprobs) == 3 for one in logprobs.content)
    with client.chat.completions.stream(messages=QUESTION, logprobs=True, top_logprobs=1, **GREEDY) as stream:
        streamed = stream.get_final_completion().choices[0].logprobs
    assert streamed is not None
    assert [one.token for one in streamed.content or []] == [one.token for one in logprobs.content]


def test_stop_and_bias_and_seed(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=QUESTION, stop=["Armstrong"], **GREEDY)
    assert (done.choices[0].message.content or "").rstrip().endswith("Neil")
    token = client.completions.create(prompt="x", max_tokens=1, logprobs=0, **GREEDY)
    assert token.choices[0].logprobs is not None
    without = client.chat.completions.create(messages=QUESTION, logit_bias={" Neil": -100}, **GREEDY)
    assert "Neil" not in (without.choices[0].message.content or "")
    anything: dict[str, Any] = {"top_k": 0, "min_p": 0}
    drawn = [
        client.chat.completions.create(
            model="demo", messages=QUESTION, temperature=2, top_p=1, seed=seed, max_tokens=20, extra_body=anything
        )
        for seed in (1, 1, 2)
    ]
    texts = [one.choices[0].message.content for one in drawn]
    assert texts[0] == texts[1] != texts[2]


def test_a_message_is_gone_on_with(client: openai.OpenAI) -> None:
    begun: list[Any] = [*QUESTION, {"role": "assistant", "content": "The first man on the moon was"}]
    done = client.chat.completions.create(messages=begun, **GREEDY)
    assert (done.choices[0].message.content or "").lstrip().startswith(ANSWER)


# -- tools ------------------------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_answer_read(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=WEATHER, tools=[TOOL], **GREEDY)
    (call,) = done.choices[0].message.tool_calls or []
    assert done.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')
    message = done.choices[0].message.model_dump(exclude_none=True)
    messages = [*WEATHER, message, {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21}'}]
    told = client.chat.completions.create(messages=messages, tools=[TOOL], **GREEDY)
    assert told.choices[0].message.content


def test_a_tool_call_comes_in_pieces(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(messages=WEATHER, tools=[TOOL], **GREEDY) as stream:
        pieces = [event.arguments_delta for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion()
    assert len(pieces) > 1
    assert "".join(pieces) == '{"city": "Paris"}'
    assert final.choices[0].finish_reason == "tool_calls"


CHOICES: list[tuple[Any, bool]] = [
    ("required", True),
    ({"type": "function", "function": {"name": "get_weather"}}, True),
    (
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "get_weather"}}],
            },
        },
        True,
    ),
    ("none", False),
    ("auto", False),
]


@pytest.mark.parametrize(("choice", "calls"), CHOICES, ids=["required", "named", "allowed", "none", "auto"])
def test_tool_choice(client: openai.OpenAI, choice: Any, calls: bool) -> None:
    """Asked what no tool is needed for."""
    done = client.chat.completions.create(messages=QUESTION, tools=[TOOL], tool_choice=choice, **GREEDY)
    assert bool(done.choices[0].message.tool_calls) is calls
    assert bool(done.choices[0].message.content) is not calls


def test_functions_as_they_were_before_there_were_tools(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(messages=WEATHER, functions=[TOOL["function"]], **GREEDY)
    called = done.choices[0].message.function_call
    assert called is not None
    assert (called.name, called.arguments) == ("get_weather", '{"city": "Paris"}')
    assert done.choices[0].finish_reason == "function_call"
    messages: list[Any] = [
        *WEATHER,
        {"role": "assistant", "content": None, "function_call": called.model_dump()},
        {"role": "function", "name": "get_weather", "content": '{"temperature": 21}'},
    ]
    told = client.chat.completions.create(messages=messages, functions=[TOOL["function"]], **GREEDY)
    assert told.choices[0].message.content
    forced = client.chat.completions.create(
        messages=QUESTION, functions=[TOOL["function"]], function_call={"name": "get_weather"}, **GREEDY
    )
    assert forced.choices[0].message.function_call is not None


# -- responses --------------------------------------------------------------------------------------------------


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(input=QUESTION[0]["content"], **GREEDY)
    assert ANSWER in response.output_text
    assert (response.status, response.error) == ("completed", None)
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 0


def test_a_streamed_response(client: openai.OpenAI) -> None:
    with client.responses.stream(input=QUESTION, **GREEDY) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(deltas) > 5
    assert "".join(deltas) == final.output_text
    assert ANSWER in final.output_text


def test_a_structured_response(client: openai.OpenAI) -> None:
    question = "Describe Neil Armstrong as JSON with name and year."
    assert client.responses.parse(input=question, text_format=Person, **GREEDY).output_parsed == Person(
        name=ANSWER, year=1969
    )
    with client.responses.stream(input=question, text_format=Person, **GREEDY) as stream:
        assert stream.get_final_response().output_parsed == Person(name=ANSWER, year=1969)


def test_responses_asynchronously(server: Server) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            whole = await client.responses.create(input=QUESTION, **GREEDY)
            async with client.responses.stream(input=QUESTION, **GREEDY) as stream:
                return whole.output_text, (await stream.get_final_response()).output_text

    whole, streamed = asyncio.run(ask())
    assert whole == streamed


def test_a_response_that_calls_and_is_gone_on_with(client: openai.OpenAI) -> None:
    with client.responses.stream(input=WEATHER, tools=[RESPONSES_TOOL], **GREEDY) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    (call,) = response.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
    items: list[Any] = [*WEATHER, *[item.model_dump(exclude_none=True) for item in response.output]]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": '{"temperature": 21}'})
    assert client.responses.create(input=items, tools=[RESPONSES_TOOL], **GREEDY).output_text
    forced: Any = {"type": "function", "name": "get_weather"}
    response = client.responses.create(input=QUESTION, tools=[RESPONSES_TOOL], tool_choice=forced, **GREEDY)
    assert [item.type for item in response.output] == ["function_call"]


def test_a_conversation_is_sent_back_whole(client: openai.OpenAI) -> None:
    first = client.responses.create(input=QUESTION, **GREEDY)
    items: list[Any] = [*QUESTION, *[item.model_dump() for item in first.output]]
    items.append({"role": "user", "content": "And who was the second?"})
    assert "Buzz Aldrin" in client.responses.create(input=items, **GREEDY).output_text


def test_counting(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="demo", input=QUESTION)
    response = client.responses.create(input=QUESTION, max_output_tokens=1, **GREEDY)
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens
    assert response.status == "incomplete"


# -- completions, embeddings, models, errors ----------------------------------------------------------------------


def test_completions(client: openai.OpenAI) -> None:
    prompts = ["The first man on the moon was", "The capital of France is"]
    done = client.completions.create(prompt=prompts, n=2, echo=True, max_tokens=16, **GREEDY)
    assert [choice.index for choice in done.choices] == [0, 1, 2, 3]
    assert all(choice.text.startswith(prompts[i // 2]) for i, choice in enumerate(done.choices))
    assert ANSWER in done.choices[0].text
    assert "Paris" in done.choices[2].text
    stream = client.completions.create(prompt=prompts[0], stream=True, max_tokens=16, **GREEDY)
    assert prompts[0] + "".join(chunk.choices[0].text for chunk in stream) == done.choices[0].text


def test_embeddings(client: openai.OpenAI) -> None:
    texts = ["hello", "The moon is far away."]
    packed = client.embeddings.create(model="demo", input=texts)
    plain = client.embeddings.create(model="demo", input=texts, encoding_format="float", dimensions=8)
    for one, short in zip(packed.data, plain.data, strict=True):
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-5)
        length = math.hypot(*one.embedding[:8])
        assert [value / length for value in one.embedding[:8]] == pytest.approx(short.embedding, abs=1e-5)
    assert packed.usage.total_tokens > 0


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").object == "model"
    with pytest.raises(openai.NotFoundError, match="There are: demo"):
        client.models.retrieve("org/unknown")


def test_what_is_wrong_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="max_tokens") as raised:
        client.chat.completions.create(messages=QUESTION, max_tokens=-2, **GREEDY)
    assert raised.value.param == "max_tokens"
    with pytest.raises(openai.BadRequestError, match="context"):
        client.chat.completions.create(messages=[{"role": "user", "content": "word " * 30_000}], **GREEDY)
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(messages=[], stream=True, **GREEDY)
