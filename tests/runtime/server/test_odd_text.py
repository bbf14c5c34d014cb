"""Text that breaks streams arrives whole in every client: line ends that JSON does not know, characters of several
tokens, scripts without spaces. A grammar makes the demo model say it, one or more of its tokens a character.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import ollama
import pytest
from anthropic import Anthropic
from langchain_community.llms.llamafile import Llamafile
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI

from support.bundles import Server

ODD = "a\u2028b\u2029c\u0085d\u000ce\u200bf 漢字かな한국어 عربي e\u0301 👩‍🚀🇩🇪😀\ufeff\U0010ffff."
SCHEMA = {"const": ODD}
GRAMMAR = f"root ::= {json.dumps(ODD, ensure_ascii=False)}".replace("\\f", "\\x0C")
PROMPT = "Say something odd."
QUESTION = [{"role": "user", "content": PROMPT}]


def llamafile(server: Server) -> list[str]:
    """LangChain's class has no field for a grammar: its request is given one on the way."""

    class WithGrammar(Llamafile):
        def _get_parameters(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
            return {**super()._get_parameters(stop, **kwargs), "grammar": GRAMMAR}

    return list(WithGrammar(base_url=server.url).stream(PROMPT))


def native(server: Server) -> list[str]:
    events = server.stream("/completion", {"prompt": PROMPT, "grammar": GRAMMAR})
    return [json.loads(data)["content"] for _when, data in events]


def openai_chat(server: Server) -> list[str]:
    client = OpenAI(base_url=f"{server.url}/v1", api_key="none")
    wanted = {"grammar": GRAMMAR}
    chunks = client.chat.completions.create(model="demo", messages=QUESTION, stream=True, extra_body=wanted)
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


def openai_responses(server: Server) -> list[str]:
    async def parts() -> list[str]:
        client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none")
        wanted = {"text": {"format": {"type": "json_schema", "name": "odd", "schema": SCHEMA}}}
        events = await client.responses.create(model="demo", input=PROMPT, stream=True, extra_body=wanted)
        return [event.delta async for event in events if event.type == "response.output_text.delta"]

    return asyncio.run(parts())


def chat_openai(server: Server) -> list[str]:
    llm = ChatOpenAI(model="demo", base_url=f"{server.url}/v1", api_key="none", extra_body={"grammar": GRAMMAR})
    return [part.text for part in llm.stream(PROMPT)]


def ollama_generate(server: Server) -> list[str]:
    return [part.response for part in ollama.Client(server.url).generate("demo", PROMPT, format=SCHEMA, stream=True)]


def ollama_chat(server: Server) -> list[str]:
    async def parts() -> list[str]:
        client = ollama.AsyncClient(server.url)
        stream = await client.chat("demo", QUESTION, format=SCHEMA, stream=True)
        return [part.message.content async for part in stream]

    return asyncio.run(parts())


def ollama_llm(server: Server) -> list[str]:
    llm = OllamaLLM(model="demo", base_url=server.url)
    return list(llm.stream(PROMPT, format=SCHEMA))


def chat_ollama(server: Server) -> list[str]:
    return [part.text for part in ChatOllama(model="demo", base_url=server.url, format=SCHEMA).stream(PROMPT)]


def anthropic_messages(server: Server) -> list[str]:
    client = Anthropic(base_url=server.url, api_key="none")
    wanted = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    with client.messages.stream(model="demo", max_tokens=500, messages=QUESTION, extra_body=wanted) as stream:
        return list(stream.text_stream)


SAYING: list[tuple[Callable[[Server], list[str]], str]] = [
    (native, ODD),
    (llamafile, ODD),
    (openai_chat, ODD),
    (openai_responses, json.dumps(ODD, ensure_ascii=False)),
    (chat_openai, ODD),
    (anthropic_messages, json.dumps(ODD, ensure_ascii=False)),
    (ollama_generate, json.dumps(ODD, ensure_ascii=False)),
    (ollama_chat, json.dumps(ODD, ensure_ascii=False)),
    (ollama_llm, json.dumps(ODD, ensure_ascii=False)),
    (chat_ollama, json.dumps(ODD, ensure_ascii=False)),
]
"""Each client, and what it is made to say: Ollama's and Anthropic's APIs have schemas, and no grammars."""


@pytest.mark.parametrize(("say", "text"), SAYING, ids=[row[0].__name__ for row in SAYING])
def test_odd_text_arrives_whole(server: Server, say: Callable[[Server], list[str]], text: str) -> None:
    parts = say(server)
    assert "".join(parts) == text
    assert len(parts) > 10
    for part in parts:
        part.encode()  # no half of a character


def test_odd_text_comes_back_as_it_went(server: Server) -> None:
    """In prompts, too: what is counted and said back is what was sent."""
    _status, body = server.post("/completion", {"prompt": ODD, "n_predict": 1})
    assert body["prompt"] == ODD
