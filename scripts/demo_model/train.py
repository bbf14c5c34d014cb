"""Trains the demo model from the corpus beside this file and writes it as a GGUF.

    python -m scripts.demo_model.train --out bundler/demo/demo.gguf

Two processor cores need about ten minutes. The same PyTorch on the same kind of machine gives the same bytes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from scripts.demo_model import corpus, export
from scripts.demo_model import tokenizer as vocabulary
from scripts.demo_model.mixture import Mixture
from scripts.demo_model.model import Llama, Shape
from scripts.demo_model.muon import Muon

_SEED = 1969
_ABOUT = export.About(
    "loaf demo",
    "A toy that knows a page of text: the demo inside loaf. Trained from scratch; not for real questions.",
)
_THREADS = 2  # sums are split by thread, so another number gives other last digits
_BATCH = 3072  # tokens, padding included
_POOL = 400  # documents that are sorted by length together, so that a batch holds little padding


@dataclass(frozen=True)
class Example:
    """A document's tokens, and for each whether the model is to learn to say it."""

    tokens: list[int]
    said: list[bool]


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(_SEED)
    torch.set_num_threads(_THREADS)
    torch.use_deterministic_algorithms(True)
    texts = corpus.load()
    tokenizer = vocabulary.train(_sample(Mixture(texts, _SEED)))
    model = Llama(Shape(tokenizer.get_vocab_size()))
    _train(model, batches(Mixture(texts, _SEED + 1), tokenizer), arguments.steps, arguments.report)
    export.write(arguments.out, model, tokenizer, corpus.template(), _ABOUT)
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the demo model.")
    parser.add_argument("--out", type=Path, required=True, help="the GGUF to write")
    parser.add_argument("--steps", type=int, default=500, help="training steps (default: %(default)s)")
    parser.add_argument("--report", type=int, default=25, help="steps between two lines of progress")
    return parser.parse_args()


def _sample(mixture: Mixture) -> Iterator[str]:
    return (mixture.document() for _ in range(4000))


def _train(model: Llama, source: Iterator[list[Example]], steps: int, report: int) -> None:
    matrices = [p for p in model.blk.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
    optimizers = [Muon(matrices, lr=0.02), torch.optim.Adam(others, lr=0.004, betas=(0.9, 0.95))]
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda s: _pace(s, steps)) for o in optimizers]
    started = time.monotonic()
    for step in range(1, steps + 1):
        loss = _loss(model, *pad(next(source)))
        model.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        if step % report == 0:
            print(f"step {step}/{steps}  loss {loss.item():.4f}  {time.monotonic() - started:.0f} s", flush=True)


def _pace(step: int, steps: int) -> float:
    """Full speed after a short start; the last half slows down to almost nothing."""
    return min((step + 1) / 20, 1.0, max(0.02, 2 * (1 - step / steps)))


def _loss(model: Llama, tokens: Tensor, said: Tensor) -> Tensor:
    states = model(tokens[:, :-1])
    chosen = said[:, 1:]
    return F.cross_entropy(model.logits(states[chosen]), tokens[:, 1:][chosen])


def pad(examples: list[Example]) -> tuple[Tensor, Tensor]:
    """A batch as two rectangles; what is padded is never learnt, and comes too late to be looked at."""
    length = max(len(example.tokens) for example in examples)
    tokens = torch.tensor([e.tokens + [0] * (length - len(e.tokens)) for e in examples])
    said = torch.tensor([e.said + [False] * (length - len(e.said)) for e in examples])
    return tokens, said


def batches(mixture: Mixture, tokenizer: Tokenizer) -> Iterator[list[Example]]:
    """Batches of about _BATCH tokens, of documents that are about equally long, in random order."""
    limit = Shape(0).context
    while True:
        pool = [example(mixture.document(), tokenizer) for _ in range(_POOL)]
        pool = sorted((e for e in pool if len(e.tokens) <= limit), key=lambda e: len(e.tokens))
        ready: list[list[Example]] = [[]]
        for e in pool:
            if ready[-1] and (len(ready[-1]) + 1) * len(e.tokens) > _BATCH:
                ready.append([])
            ready[-1].append(e)
        mixture.random.shuffle(ready)
        yield from ready


def example(text: str, tokenizer: Tokenizer) -> Example:
    """Learnt is what follows an assistant's heading up to its end; of a bare text, everything."""
    tokens = tokenizer.encode(text).ids
    heading = tokenizer.encode(f"{vocabulary.START}assistant\n").ids
    if tokens[0] != heading[0]:
        return Example(tokens, [True] * len(tokens))
    end = tokenizer.token_to_id(vocabulary.END)
    said, saying = [], False
    for i, token in enumerate(tokens):
        said.append(saying)
        if saying and token == end:
            saying = False
        elif tokens[max(0, i + 1 - len(heading)) : i + 1] == heading:
            saying = True
    return Example(tokens, said)


if __name__ == "__main__":
    main()
