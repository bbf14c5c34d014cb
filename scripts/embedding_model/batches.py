"""Draws training batches from one seeded generator, and turns texts into padded token ids.

Knows how a text and how a pair of texts lies in tokens. Knows nothing of how a model learns from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from scripts.embedding_model import topics, wordpiece
from scripts.embedding_model.topics import Topic

_LONGEST = 64  # tokens of a text; nearly everything in the corpus is shorter
_UNMARKED = 0.3  # of the texts come without their last mark, as people type
_OPENED = 0.5  # of the reranker's questions come after an opening, so that not the place of a word decides
_OPENINGS = (
    "Please tell me: ", "Can you tell me: ", "Hey, ", "Hi! ", "Question: ", "Please: ", "I would like to know: ",
    "One more thing: ",
)  # fmt: skip


@dataclass(frozen=True)
class Padded:
    """Token ids [batch, length] and whether each is one rather than padding."""

    tokens: Tensor
    real: Tensor


class Batches:
    """An endless supply of batches about `facts`, which have answers, and `others`, which have none."""

    def __init__(self, tokenizer: Tokenizer, facts: Sequence[Topic], others: Sequence[Topic], random: Random) -> None:
        self._tokenizer = tokenizer
        self._facts = facts
        self._others = others
        self._random = random
        self._ids = {piece: tokenizer.token_to_id(piece) for piece in wordpiece.SPECIAL}

    def related(self, facts: int, others: int, hidden: float) -> tuple[Padded, Padded]:
        """Two texts of as many topics: row i of one belongs to row i of the other, and to no other row.

        The share `hidden` of their tokens is replaced by [MASK].
        """
        drawn = self._random.sample(self._facts, facts) + self._random.sample(self._others, others)
        pairs = [topics.related(topic, self._random) for topic in drawn]
        ones = self.texts([self._typed(one) for one, _ in pairs])
        twos = self.texts([self._typed(other) for _, other in pairs])
        return self._hide(ones, hidden), self._hide(twos, hidden)

    def answers(self, questions: int, candidates: int, confusable: Sequence[Sequence[int]]) -> Padded:
        """Questions with `candidates` passages each, in a row: the right one first, then wrong ones.

        `confusable[i]` are the facts that fact i is most easily taken for; every second wrong one is of these.
        """
        pairs = []
        for number in self._random.sample(range(len(self._facts)), questions):
            question = self._typed(self._random.choice(self._facts[number].questions))
            if self._random.random() < _OPENED:
                question = self._random.choice(_OPENINGS) + question
            near = self._random.sample(confusable[number], candidates // 2)
            far = [i for i in range(len(self._facts)) if i != number and i not in near]
            wrong = near + self._random.sample(far, candidates - 1 - len(near))
            passages = [self._random.choice(self._facts[i].passages) for i in (number, *wrong)]
            pairs += [(question, passage) for passage in passages]
        return self.pairs(pairs)

    def texts(self, texts: Sequence[str]) -> Padded:
        """Each as [CLS] text [SEP]."""
        return self._pad([[text] for text in texts])

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> Padded:
        """Each as [CLS] question [SEP] passage [SEP]."""
        return self._pad(pairs)

    def _pad(self, rows: Sequence[Sequence[str]]) -> Padded:
        start, end, padding = (self._ids[piece] for piece in (wordpiece.START, wordpiece.SEPARATOR, wordpiece.PAD))
        ids = [[(*self._tokenizer.encode(text).ids[:_LONGEST], end) for text in row] for row in rows]
        joined = [[start, *(token for part in row for token in part)] for row in ids]
        length = max(len(row) for row in joined)
        tokens = torch.tensor([row + [padding] * (length - len(row)) for row in joined])
        return Padded(tokens, tokens != padding)

    def _hide(self, batch: Padded, share: float) -> Padded:
        plain = batch.tokens >= len(self._ids)
        hidden = plain & (torch.rand(batch.tokens.shape) < share)
        return Padded(batch.tokens.masked_fill(hidden, self._ids[wordpiece.MASK]), batch.real)

    def _typed(self, text: str) -> str:
        if self._random.random() < _UNMARKED:
            return text.rstrip("?.!") or text
        return text
