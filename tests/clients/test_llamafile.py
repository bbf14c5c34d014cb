"""LangChain's classes for llamafile, unmodified, against the real bundle."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from langchain_community.embeddings import LlamafileEmbeddings
from langchain_community.llms.llamafile import Llamafile

from support.bundles import Server

PROMPT = "The first man on the moon was ..."


def test_llamafile(server: Server) -> None:
    llm = Llamafile(base_url=server.url, temperature=0)
    text = llm.invoke(PROMPT)
    assert "Neil Armstrong" in text
    parts = list(llm.stream(PROMPT))
    assert "".join(parts) == text
    assert len(parts) > 10
    assert Llamafile(base_url=server.url, temperature=0, streaming=True).invoke(PROMPT) == text
    assert asyncio.run(llm.ainvoke(PROMPT)) == text
    assert llm.invoke(PROMPT, stop=["Arm"]).rstrip().endswith("Neil")

    async def stream() -> str:
        return "".join([part async for part in llm.astream(PROMPT)])

    assert asyncio.run(stream()) == text


def test_llamafile_embeddings(server: Server) -> None:
    embeddings = LlamafileEmbeddings(base_url=server.url)
    vectors = embeddings.embed_documents(["hello", "The moon is far away."])
    assert [len(vector) for vector in vectors] == [192, 192]
    assert embeddings.embed_query("hello") == pytest.approx(vectors[0], abs=1e-2)
    assert asyncio.run(embeddings.aembed_query("hello")) == pytest.approx(vectors[0], abs=1e-2)


def test_nothing_at_all_is_said_where_the_server_is(demo: Path, warm_cache: Path) -> None:
    """The port that both have by default; the script that made this project ends in `Llamafile()`."""
    if not _is_free(8080):
        pytest.skip("another program listens on port 8080: stop it")
    with Server(demo, "--port", "8080", cache=warm_cache):
        assert "Neil Armstrong" in Llamafile().invoke(PROMPT, temperature=0)
        assert len(LlamafileEmbeddings().embed_query("hello")) == 192


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
