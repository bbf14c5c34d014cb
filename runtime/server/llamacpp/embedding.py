"""`/embedding`, `/embeddings` and `/rerank` in llama-server's own forms."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from aiohttp import web

from runtime.server.beside import beside_the_loop
from runtime.server.generating import LoraField
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS
from runtime.server.prompts import Prompts, check_amount
from runtime.server.refusals import BadRequest
from runtime.server.vectors import MAX_TEXTS, embed_texts, embed_tokens, normalized, token_usage


class EmbeddingRequest(msgspec.Struct):
    """The body of `/embedding`; `input` is OpenAI's name for `content`."""

    content: Prompts | None = None
    input: Prompts | None = None
    model: str | None = None
    embd_normalize: int | None = None
    lora: list[LoraField] | None = None


class Document(msgspec.Struct):
    """A document with what belongs to it, of which the text counts."""

    text: str


class RerankRequest(msgspec.Struct):
    """The body of `/rerank`. `texts` is Text Embeddings Inference's name for `documents`, `return_text` its name for
    `return_documents`."""

    query: str
    documents: list[str | Document] | None = None
    texts: list[str] | None = None
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None
    return_text: bool | None = None


async def embedding(request: web.Request) -> web.Response:
    """Turn a text into its vector, as llamafile does it and its clients need it; several as `/embeddings` does."""
    body = await decode(request, EmbeddingRequest)
    vectors = await _vectors(request, body)
    if isinstance(body.content, str) and body.input is None and len(vectors[0]) == 1:
        return json_response({"embedding": vectors[0][0]})
    return json_response(_listed(vectors))


async def embeddings(request: web.Request) -> web.Response:
    """Turn texts into vectors: for each text a list of them, one unless they are not pooled."""
    return json_response(_listed(await _vectors(request, await decode(request, EmbeddingRequest))))


async def rerank(request: web.Request) -> web.Response:
    """Order documents by how well they answer a query, best first."""
    body = await decode(request, RerankRequest)
    given = body.documents if body.documents is not None else body.texts or []
    documents = [one.text if isinstance(one, Document) else one for one in given]
    if not 1 <= len(documents) <= MAX_TEXTS:
        raise BadRequest(f"documents: 1 to {MAX_TEXTS:,} texts are needed", "documents")
    check_amount((len(body.query) + len(text) for text in documents), "documents")
    hosted = request.app[MODELS].find_reranker(body.model)
    model = hosted.loaded()
    prompts = await beside_the_loop(request, lambda: tuple(model.rerank_prompt(body.query, text) for text in documents))
    embedded = await embed_tokens(request, hosted.engine, prompts)
    scores = sorted(enumerate(one[0][0] for one in embedded.vectors), key=lambda pair: -pair[1])
    scores = scores[: max(body.top_n, 0) if body.top_n is not None else len(scores)]
    if body.documents is None:  # Text Embeddings Inference's form
        return json_response(
            [
                {"index": i, "score": score, **({"text": documents[i]} if body.return_text else {})}
                for i, score in scores
            ]
        )
    shown: list[dict[str, Any]] = [
        {"document": {"text": documents[i]}} if body.return_documents else {} for i, _score in scores
    ]
    results = [{"index": i, "relevance_score": score, **more} for (i, score), more in zip(scores, shown, strict=True)]
    return json_response(
        {
            "id": f"rerank-{secrets.token_hex(12)}",
            "model": hosted.name,
            "object": "list",
            "usage": token_usage(sum(map(len, prompts))),
            "results": results,
        }
    )


async def _vectors(request: web.Request, body: EmbeddingRequest) -> list[list[list[float]]]:
    """For each text its vectors, at the length that is asked for where they are pooled."""
    hosted = request.app[MODELS].find_embedder(body.model)
    given = body.input if body.input is not None else body.content
    _tokens, embedded = await embed_texts(request, hosted, given, body.lora)
    pooled = embedded.pooling != "none"
    p = 2 if body.embd_normalize is None else body.embd_normalize
    return [[(normalized(vector, p) if pooled else vector).tolist() for vector in one] for one in embedded.vectors]


def _listed(vectors: list[list[list[float]]]) -> list[dict[str, Any]]:
    return [{"index": i, "embedding": one} for i, one in enumerate(vectors)]
