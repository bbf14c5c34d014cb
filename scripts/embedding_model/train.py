"""Trains the embedding and the reranking model of the tests from the demo model's corpus, and writes them as GGUFs.

    python -m scripts.embedding_model.train --out tests/data

Beside them go a few texts with their token ids, as the training's tokenizer has them.

Run it in the checkout's root, in an environment that has scripts/embedding_model/requirements.txt. One processor core
needs a few minutes. The same PyTorch on the same kind of machine gives the same bytes. What is printed at the end is
how many wordings that were never trained find their answer among all of the corpus.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from scripts.demo_model import corpus
from scripts.embedding_model import export, measure, topics, wordpiece
from scripts.embedding_model.batches import Batches
from scripts.embedding_model.bert import Bert, Embedder, Reranker, Shape

_SEED = 1969
_SHARPNESS = 20.0  # what cosines are multiplied by: the difference of two is at most 2, which is little for a softmax
_HIDDEN = 0.1  # of the embedder's tokens, so that no single word decides
_TOKENIZED = (
    "How do I stop the server?", "WHERE is the Cache?", "Où est le CAFÉ ? Größere Straßen, MAÑANA, Ångström!",
    'don\'t; $LOAF_CACHE_DIR, (~/.cache) --nobrowser "127.0.0.1:8080/v1" 2+2=4', "unbelievably Zymurgy",
    "你好！ 日本語で 👋 quiet🙂ly", "  spaced\tout\n\ntext  ", "[CLS] text [MASK] ##ing", "",
)  # fmt: skip
"""Upper case, accents, marks, words that are in pieces, letters and pictures that are not in the vocabulary at all."""
_QUESTIONS, _CANDIDATES = 16, 8  # of one of the reranker's batches


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(_SEED)
    torch.set_num_threads(1)  # sums are split by thread, so another number gives other last digits
    torch.use_deterministic_algorithms(True)
    texts = corpus.load()
    facts = topics.answered(texts)
    tokenizer = wordpiece.make(topics.texts(texts))
    batches = Batches(tokenizer, facts, topics.unanswered(texts), Random(_SEED))
    shape = Shape(tokenizer.get_vocab_size())

    embedder = Embedder(shape)
    _train(embedder, lambda: _matched(embedder, batches), steps=400, rate=0.002)
    confusable = measure.confusable(embedder, batches, facts, _CANDIDATES)
    reranker = Reranker(shape)
    reranker.load_state_dict(embedder.state_dict(), strict=False)  # all but the head
    _train(reranker, lambda: _ranked(reranker, batches, confusable), steps=600, rate=0.001)

    export.write(arguments.out / "embedder.gguf", embedder, tokenizer)
    export.write(arguments.out / "reranker.gguf", reranker, tokenizer)
    _write_tokens(arguments.out / "embedder.tokens.json", batches)
    measure.report(embedder, reranker, batches, facts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the tests' embedding and reranking models.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the files to")
    return parser.parse_args()


def _write_tokens(path: Path, batches: Batches) -> None:
    """What the training's tokenizer makes of some texts: llama.cpp's is to make the same of them."""
    rows = [{"text": text, "ids": batches.texts([text]).tokens[0].tolist()} for text in _TOKENIZED]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


def _train(model: Bert, loss: Callable[[], Tensor], steps: int, rate: float) -> None:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 50, 1 - step / steps))
    started = time.monotonic()
    for step in range(1, steps + 1):
        value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            name, seconds = type(model).__name__, time.monotonic() - started
            print(f"{name} step {step}/{steps}  loss {value.item():.4f}  {seconds:.0f} s", flush=True)


def _matched(embedder: Embedder, batches: Batches) -> Tensor:
    """InfoNCE, both ways: of all the other side's texts, each is nearest to the one that it belongs to."""
    ones, others = batches.related(facts=64, others=24, hidden=_HIDDEN)
    logits = embedder(ones.tokens, ones.real) @ embedder(others.tokens, others.real).T * _SHARPNESS
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def _ranked(reranker: Reranker, batches: Batches, confusable: list[list[int]]) -> Tensor:
    """The right passage scores above the wrong ones; the second term holds the one side above 0, the other below."""
    batch = batches.answers(_QUESTIONS, _CANDIDATES, confusable)
    scores = reranker(batch.tokens, batch.real).view(_QUESTIONS, _CANDIDATES)
    first = torch.zeros(_QUESTIONS, dtype=torch.long)
    right = F.one_hot(first, _CANDIDATES).float()
    return F.cross_entropy(scores, first) + F.binary_cross_entropy_with_logits(scores, right)


if __name__ == "__main__":
    main()
