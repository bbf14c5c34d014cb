"""LangChain's ChatOpenAI, unmodified, against the real bundle."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from support.bundles import Server

QUESTION = "Who was the first man on the moon?"
ANSWER = "Neil Armstrong"
WEATHER = "What is the weather in Paris?"


class Person(BaseModel):
    """Who it was."""

    name: str
    year: int


@tool
def get_weather(city: str) -> str:
    """Get the current weather for a city."""
    return f"21 degrees in {city}"


def chat(server: Server, **options: Any) -> ChatOpenAI:
    """`use_responses_api` is off unless asked for, as it is for models of other makers."""
    return ChatOpenAI(
        base_url=f"{server.url}/v1", api_key=SecretStr("none"), model="demo", temperature=0, max_retries=0, **options
    )


APIS = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])


@APIS
def test_invoke(server: Server, responses: bool) -> None:
    answer = chat(server, use_responses_api=responses).invoke(QUESTION)
    assert ANSWER in answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 5


@APIS
def test_stream(server: Server, responses: bool) -> None:
    chunks = list(chat(server, use_responses_api=responses, stream_usage=True).stream(QUESTION))
    texts = [chunk.text for chunk in chunks if chunk.text]
    assert len(texts) > 5
    assert ANSWER in "".join(texts)
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] >= len(texts)


def test_asynchronously(server: Server) -> None:
    async def ask() -> tuple[str, str]:
        model = chat(server)
        whole = await model.ainvoke(QUESTION)
        return whole.text, "".join([chunk.text async for chunk in model.astream(QUESTION)])

    whole, streamed = asyncio.run(ask())
    assert whole == streamed
    assert ANSWER in whole


@APIS
def test_tools(server: Server, responses: bool) -> None:
    model = chat(server, use_responses_api=responses).bind_tools([get_weather])
    answer = model.invoke(WEATHER)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert model.invoke([HumanMessage(WEATHER), answer, result]).text
    chunks = list(model.stream(WEATHER))
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert [(one["name"], one["args"]) for one in whole.tool_calls] == [("get_weather", {"city": "Paris"})]


def test_a_named_tool_is_called_whatever_is_asked(server: Server) -> None:
    for choice in ("get_weather", "required"):
        answer = chat(server).bind_tools([get_weather], tool_choice=choice).invoke(QUESTION)
        assert [call["name"] for call in answer.tool_calls] == ["get_weather"]


METHODS: list[Literal["json_schema", "json_mode", "function_calling"]] = [
    "json_schema",
    "json_mode",
    "function_calling",
]


@pytest.mark.parametrize("method", METHODS)
def test_structured_output(server: Server, method: Literal["json_schema", "json_mode", "function_calling"]) -> None:
    question = "Describe Neil Armstrong as JSON with name and year."
    person = chat(server).with_structured_output(Person, method=method).invoke(question)
    assert isinstance(person, Person)
    if method != "function_calling":  # the demo model knows of one function only
        assert person == Person(name=ANSWER, year=1969)


def test_embeddings(server: Server) -> None:
    embedder = OpenAIEmbeddings(
        base_url=f"{server.url}/v1", api_key=SecretStr("none"), model="demo", check_embedding_ctx_length=False
    )
    one, other = embedder.embed_documents(["hello", "The moon is far away."])
    assert len(one) == len(other) > 8
    assert embedder.embed_query("hello") == pytest.approx(one, abs=1e-3)
