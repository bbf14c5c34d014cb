"""The clients that speak Ollama's API, unmodified, against the real bundle: the `ollama` package and LangChain's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from pydantic import BaseModel, create_model

from support.bundles import Server

PROMPT = "The first man on the moon was ..."
GREEDY = {"temperature": 0}
QUESTION = [{"role": "user", "content": PROMPT}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
AS_JSON = "Describe Neil Armstrong as JSON with name and year."


THINKING = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


class Person(BaseModel):
    """A person, and a year that matters."""

    name: str
    year: int


get_weather_class = create_model("get_weather", __doc__="Get the current weather for a city.", city=str)
"""The same as `get_weather`, as an answer's form."""


def get_weather(city: str) -> str:
    """Get the current weather for a city.

    Args:
        city: Which one.
    """
    return f"It is sunny in {city}."


@pytest.fixture(scope="module")
def client(server: Server) -> ollama.Client:
    return ollama.Client(server.url)


def with_async_client(server: Server, body: Callable[[ollama.AsyncClient], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with ollama.AsyncClient(server.url) as client:
            await body(client)

    asyncio.run(main())


# -- ollama ---------------------------------------------------------------------------------------------------


def test_generate(client: ollama.Client) -> None:
    whole = client.generate("demo", PROMPT, options=GREEDY)
    assert "Neil Armstrong" in whole.response
    parts = list(client.generate("demo", PROMPT, options=GREEDY, stream=True))
    assert "".join(part.response for part in parts) == whole.response
    assert len(parts) > 10
    assert whole.context
    assert "Buzz Aldrin" in client.generate("demo", "And the second?", context=whole.context, options=GREEDY).response


def test_chat(client: ollama.Client) -> None:
    whole = client.chat("demo", QUESTION, options=GREEDY)
    assert "Neil Armstrong" in whole.message.content
    parts = list(client.chat("demo", QUESTION, options=ollama.Options(temperature=0), stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content


def test_generate_and_chat_without_blocking(server: Server) -> None:
    async def body(client: ollama.AsyncClient) -> None:
        generated, chatted = await asyncio.gather(
            client.generate("demo", PROMPT, options=GREEDY), client.chat("demo", QUESTION, options=GREEDY)
        )
        assert "Neil Armstrong" in generated.response
        assert "Neil Armstrong" in chatted.message.content
        texts: AsyncIterator[Any] = await client.generate("demo", PROMPT, options=GREEDY, stream=True)
        assert "".join([part.response async for part in texts]) == generated.response
        turns: AsyncIterator[Any] = await client.chat("demo", QUESTION, options=GREEDY, stream=True)
        assert "".join([part.message.content async for part in turns]) == chatted.message.content

    with_async_client(server, body)


@pytest.mark.parametrize("format", ["json", Person.model_json_schema()])
def test_a_format(client: ollama.Client, format: Any) -> None:
    answer = client.chat("demo", [{"role": "user", "content": AS_JSON}], format=format, options=GREEDY)
    assert Person.model_validate_json(answer.message.content) == Person(name="Neil Armstrong", year=1969)


@pytest.mark.parametrize("stream", [False, True])
def test_a_function_is_called(client: ollama.Client, stream: bool) -> None:
    answer = client.chat("demo", WEATHER, tools=[get_weather], options=GREEDY, stream=stream)
    parts = answer if isinstance(answer, Iterator) else [answer]
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert [(call.function.name, call.function.arguments) for call in calls] == [("get_weather", {"city": "Paris"})]


def test_a_result_goes_back(client: ollama.Client) -> None:
    called = client.chat("demo", WEATHER, tools=[get_weather], options=GREEDY).message
    result = {"role": "tool", "tool_name": "get_weather", "content": get_weather("Paris")}
    answer = client.chat("demo", [*WEATHER, called, result], tools=[get_weather], options=GREEDY)
    assert answer.message.content
    assert answer.done_reason == "stop"


def test_vectors(server: Server, client: ollama.Client) -> None:
    many = client.embed("demo", ["hello", "moon"]).embeddings
    assert [len(vector) for vector in many] == [192, 192]
    assert len(client.embed("demo", "hello", dimensions=8).embeddings[0]) == 8
    assert len(client.embeddings("demo", "hello").embedding) == 192

    async def body(client: ollama.AsyncClient) -> None:
        assert (await client.embed("demo", "hello")).embeddings[0] == pytest.approx(many[0], abs=1e-2)
        assert len((await client.embeddings("demo", "hello")).embedding) == 192

    with_async_client(server, body)


def test_what_there_is(server: Server, client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["demo:latest"]
    assert client.show("demo").modelinfo["general.architecture"] == "llama"
    running = client.ps().models[0]
    assert (running.name, running.context_length, running.size_vram) == ("demo:latest", 2048, 0)
    assert client.pull("demo").status == "success"
    assert [part.status for part in client.pull("other", stream=True)][-1] == "success"

    async def body(client: ollama.AsyncClient) -> None:
        assert [model.model for model in (await client.list()).models] == ["demo:latest"]
        assert (await client.show("demo")).capabilities == ["completion", "tools"]
        assert (await client.ps()).models[0].expires_at
        assert (await client.pull("demo")).status == "success"

    with_async_client(server, body)


def test_what_cannot_be_changed(server: Server, client: ollama.Client, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    attempts: list[Callable[[], Any]] = [
        lambda: client.push("demo"),
        lambda: list(client.push("demo", stream=True)),
        lambda: client.create("mine", from_="demo"),
        lambda: list(client.create("mine", from_="demo", stream=True)),
        lambda: client.create_blob(tmp_path / "model.gguf"),
        lambda: client.copy("demo", "mine"),
        lambda: client.delete("demo"),
    ]
    for attempt in attempts:
        with pytest.raises(ollama.ResponseError, match="the models of this file are fixed") as caught:
            attempt()
        assert caught.value.status_code == 403

    async def body(client: ollama.AsyncClient) -> None:
        for attempt in (client.push("demo"), client.create("mine"), client.copy("a", "b"), client.delete("demo")):
            with pytest.raises(ollama.ResponseError, match="fixed"):
                await attempt
        with pytest.raises(ollama.ResponseError, match="fixed"):
            await client.create_blob(tmp_path / "model.gguf")

    with_async_client(server, body)


def test_errors_are_read(client: ollama.Client) -> None:
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match=r'^"demo" does not support thinking') as caught:
            list(client.chat("demo", QUESTION, think=True, stream=stream))
        assert caught.value.status_code == 400


# -- LangChain ------------------------------------------------------------------------------------------------


def test_ollama_llm(server: Server) -> None:
    llm = OllamaLLM(model="demo", base_url=server.url, temperature=0, validate_model_on_init=True)
    text = llm.invoke(PROMPT)
    assert "Neil Armstrong" in text
    parts = list(llm.stream(PROMPT))
    assert "".join(parts) == text
    assert len(parts) > 10
    assert asyncio.run(llm.ainvoke(PROMPT)) == text
    stopped = llm.invoke(PROMPT, stop=["Arm"])
    assert stopped.rstrip().endswith("Neil")


def test_chat_ollama(server: Server) -> None:
    llm = ChatOllama(model="demo", base_url=server.url, temperature=0, validate_model_on_init=True)
    answer = llm.invoke([SystemMessage("You are a helpful assistant."), HumanMessage(PROMPT)])
    assert "Neil Armstrong" in answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == answer.response_metadata["eval_count"]
    assert answer.response_metadata["done_reason"] == "stop"
    parts = list(llm.stream(PROMPT))
    assert len(parts) > 10
    assert "Neil Armstrong" in "".join(part.text for part in parts)

    async def stream() -> list[str]:
        return [part.text async for part in llm.astream(PROMPT)]

    assert asyncio.run(stream()) == [part.text for part in parts]


def test_chat_ollama_calls_tools(server: Server) -> None:
    llm = ChatOllama(model="demo", base_url=server.url, temperature=0).bind_tools([get_weather])
    question = HumanMessage(WEATHER[0]["content"])
    answer = llm.invoke([question])
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("get_weather", {"city": "Paris"})]
    streamed = [call for part in llm.stream([question]) for call in part.tool_calls]
    assert [(call["name"], call["args"]) for call in streamed] == [("get_weather", {"city": "Paris"})]
    result = ToolMessage(get_weather("Paris"), tool_call_id=answer.tool_calls[0]["id"])
    assert isinstance(llm.invoke([question, answer, result]), AIMessage)


STRUCTURES: list[tuple[Any, str, BaseModel]] = [
    ("json_schema", AS_JSON, Person(name="Neil Armstrong", year=1969)),
    ("json_mode", AS_JSON, Person(name="Neil Armstrong", year=1969)),
    ("function_calling", WEATHER[0]["content"], get_weather_class(city="Paris")),
]


@pytest.mark.parametrize(("method", "question", "expected"), STRUCTURES, ids=[row[0] for row in STRUCTURES])
def test_chat_ollama_structures_its_output(server: Server, method: Any, question: str, expected: BaseModel) -> None:
    llm = ChatOllama(model="demo", base_url=server.url, temperature=0)
    assert llm.with_structured_output(type(expected), method=method).invoke(question) == expected


def test_thoughts_come_apart(demo: Path, warm_cache: Path) -> None:
    """The demo model does not think: a template makes a thought of all that it says."""
    with Server(demo, "--chat-template", THINKING, cache=warm_cache) as server:
        llm = ChatOllama(model="demo", base_url=server.url, temperature=0, reasoning=True)
        answer = llm.invoke(PROMPT)
        assert answer.additional_kwargs["reasoning_content"]
        assert answer.text == ""
        parts = [part.additional_kwargs.get("reasoning_content", "") for part in llm.stream(PROMPT)]
        assert "".join(parts) == answer.additional_kwargs["reasoning_content"]
        client = ollama.Client(server.url)
        generated = client.generate("demo", PROMPT, think=True, options=GREEDY)
        assert (generated.thinking, generated.response) == (answer.additional_kwargs["reasoning_content"], "")
        assert client.show("demo").capabilities == ["completion", "thinking"]
        unthinking = ChatOllama(model="demo", base_url=server.url, temperature=0, reasoning=False).invoke(PROMPT)
        assert unthinking.text


def test_ollama_embeddings(server: Server) -> None:
    embeddings = OllamaEmbeddings(model="demo", base_url=server.url)
    vectors = embeddings.embed_documents(["hello", "The moon is far away."])
    assert [len(vector) for vector in vectors] == [192, 192]
    assert embeddings.embed_query("hello") == pytest.approx(vectors[0], abs=1e-2)
    assert asyncio.run(embeddings.aembed_query("hello")) == pytest.approx(vectors[0], abs=1e-2)
    assert len(OllamaEmbeddings(model="demo", base_url=server.url, dimensions=8).embed_query("hello")) == 8
