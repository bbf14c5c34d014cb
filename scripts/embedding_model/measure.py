"""How well the models find the right passage among all, for wordings that were never trained.

Knows what a right answer is. Trains nothing, draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scripts.embedding_model.batches import Batches
from scripts.embedding_model.bert import Embedder, Reranker
from scripts.embedding_model.topics import Topic


@torch.no_grad()
def report(embedder: Embedder, reranker: Reranker, batches: Batches, facts: Sequence[Topic]) -> None:
    """Prints retrieval@1 of both models."""
    passages = [passage for fact in facts for passage in fact.passages]
    answers = [number for number, fact in enumerate(facts) for _ in fact.passages]
    questions = [(question, number) for number, fact in enumerate(facts) for question in fact.unseen]
    likeness = _embeddings(embedder, batches, [question for question, _ in questions])
    likeness = likeness @ _embeddings(embedder, batches, passages).T
    scores = torch.stack([_scores(reranker, batches, question, passages) for question, _ in questions])
    for name, table in (("embedder", likeness), ("reranker", scores)):
        best = [answers[choice] for choice in table.argmax(1).tolist()]
        right = sum(found == number for found, (_, number) in zip(best, questions, strict=True))
        print(f"{name}: {right} of {len(questions)} unseen wordings find their answer among {len(passages)} passages")


@torch.no_grad()
def confusable(embedder: Embedder, batches: Batches, facts: Sequence[Topic], count: int) -> list[list[int]]:
    """For every fact the `count` others whose passages lie nearest to its first question."""
    questions = _embeddings(embedder, batches, [fact.questions[0] for fact in facts])
    passages = _embeddings(embedder, batches, [fact.passages[0] for fact in facts])
    likeness = (questions @ passages.T).fill_diagonal_(-1)
    return likeness.topk(count).indices.tolist()


def _embeddings(embedder: Embedder, batches: Batches, texts: Sequence[str]) -> Tensor:
    batch = batches.texts(texts)
    return embedder(batch.tokens, batch.real)


def _scores(reranker: Reranker, batches: Batches, question: str, passages: Sequence[str]) -> Tensor:
    batch = batches.pairs([(question, passage) for passage in passages])
    return reranker(batch.tokens, batch.real)
