"""The embedding and the reranking model that other tests rely on: what they know, asked of llama.cpp itself.

The questions are held out: they are in the demo model's corpus as `unseen`, which the training never takes.
"""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.engine.llama.binding import import_binding
from support.places import DATA

TOKENIZED = json.loads((DATA / "embedder.tokens.json").read_text("utf-8"))
MEAN, RANK = 1, 4  # llama.h, enum llama_pooling_type

ANSWERS = {
    "start": "Run your file with --server: ./model.loaf --server --nobrowser. It listens on http://127.0.0.1:8080.",
    "cache": "You can delete the folder ~/.cache/loaf at any time. The next launch unpacks the runtime again.",
    "stop": "Press Ctrl-C. The server finishes or cancels what is running and stops within five seconds.",
    "alpine": "No, Alpine uses musl, which is not supported yet.",
    "armstrong": "The first man on the moon was Neil Armstrong, on July 20, 1969.",
    "sky": "The sky is blue because air scatters blue light more than red light.",
    "norway": "The capital of Norway is Oslo.",
}
"""Passages of the corpus."""

QUESTIONS = [
    ("How do you start the server?", "How can I run the server?", "start"),
    ("Can I remove the cache?", "How do I clear the cache?", "cache"),
    ("How can I stop the server?", "How do I stop it?", "stop"),
    ("Does loaf work on Alpine?", "Is musl supported?", "alpine"),
    ("Who walked on the moon first?", "Name the first man on the moon.", "armstrong"),
    ("Can you explain why the sky is blue?", "What makes the sky blue?", "sky"),
    ("Tell me the capital of Norway.", "Which city is the capital of Norway?", "norway"),
]
"""A held-out wording, a trained one of the same question, and the answer of both."""


class Bert:
    """A model and a context for it, on one thread."""

    def __init__(self, path: Path) -> None:
        self.lib, _logs = import_binding()
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        self.vocabulary = self.lib.llama_model_get_vocab(self.model)
        params = self.lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.lib.llama_model_n_ctx_train(self.model)
        params.n_threads = params.n_threads_batch = 1
        params.embeddings = True
        self.context = self.lib.llama_init_from_model(self.model, params)
        self.pooling: int = self.lib.llama_pooling_type(self.context)
        self.width = 1 if self.pooling == RANK else self.lib.llama_model_n_embd(self.model)

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        data = text.encode()
        room = (self.lib.llama_token * (len(data) + 2))()
        count = self.lib.llama_tokenize(self.vocabulary, data, len(data), room, len(room), add_special, False)
        return list(room[:count])

    def piece(self, token: int) -> str:
        room = ctypes.create_string_buffer(64)
        count = self.lib.llama_token_to_piece(self.vocabulary, token, room, len(room), 0, True)
        return room.raw[:count].decode()

    def compute(self, tokens: Sequence[int]) -> list[float]:
        """What the pooling makes of one text."""
        ids = (self.lib.llama_token * len(tokens))(*tokens)
        assert self.lib.llama_encode(self.context, self.lib.llama_batch_get_one(ids, len(ids))) == 0
        values: Any = self.lib.llama_get_embeddings_seq(self.context, 0)
        return list(values[: self.width])

    def close(self) -> None:
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


@pytest.fixture(scope="module")
def embedder() -> Iterator[Bert]:
    bert = Bert(DATA / "embedder.gguf")
    yield bert
    bert.close()


@pytest.fixture(scope="module")
def reranker() -> Iterator[Bert]:
    bert = Bert(DATA / "reranker.gguf")
    yield bert
    bert.close()


def embed(embedder: Bert, text: str) -> list[float]:
    """The embedding of `text`, of length 1."""
    values = embedder.compute(embedder.tokenize(text, add_special=True))
    length = math.hypot(*values)
    return [value / length for value in values]


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def score(reranker: Bert, question: str, passage: str) -> float:
    """The score of [CLS] question [SEP] passage [SEP]."""
    lib, vocabulary = reranker.lib, reranker.vocabulary
    start, separator = lib.llama_vocab_bos(vocabulary), lib.llama_vocab_sep(vocabulary)
    one, other = (reranker.tokenize(text, add_special=False) for text in (question, passage))
    (value,) = reranker.compute([start, *one, separator, *other, separator])
    return value


def test_they_pool_as_they_say(embedder: Bert, reranker: Bert) -> None:
    assert (embedder.pooling, reranker.pooling) == (MEAN, RANK)
    assert reranker.lib.llama_model_n_cls_out(reranker.model) == 1


@pytest.mark.parametrize("name", ["embedder", "reranker"])
def test_tokens_are_those_of_the_training(name: str, request: pytest.FixtureRequest) -> None:
    bert = request.getfixturevalue(name)
    for row in TOKENIZED:
        assert bert.tokenize(row["text"], add_special=True) == row["ids"], row["text"]


def test_case_and_accents_are_dropped_and_words_are_split(embedder: Bert) -> None:
    tokens = embedder.tokenize("CAFÉ, photosynthesising 👋", add_special=True)
    assert [embedder.piece(token) for token in tokens] == [
        "[CLS]", " cafe", " ,", " photosynthesis", "ing", "[UNK]", "[SEP]",
    ]  # fmt: skip


@pytest.mark.parametrize(("question", "wording", "answer"), QUESTIONS)
def test_what_belongs_together_is_closer(embedder: Bert, question: str, wording: str, answer: str) -> None:
    """A held-out wording is nearer to its trained wording and to its answer than to any other text of the table."""
    asked = embed(embedder, question)
    own = (wording, ANSWERS[answer])
    others = [text for one, two, other in QUESTIONS if other != answer for text in (one, two, ANSWERS[other])]
    farthest = min(likeness(asked, embed(embedder, text)) for text in own)
    assert farthest > max(likeness(asked, embed(embedder, text)) for text in others) + 0.1


@pytest.mark.parametrize(("question", "wording", "answer"), QUESTIONS)
def test_the_answer_ranks_first(reranker: Bert, question: str, wording: str, answer: str) -> None:
    for asked in (question, wording):
        scores = {name: score(reranker, asked, passage) for name, passage in ANSWERS.items()}
        right = scores.pop(answer)
        assert right > max(scores.values()) + 1, asked
