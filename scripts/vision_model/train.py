"""Trains the vision demo on pictures that it draws, and writes the language model and the projector as two GGUFs.

    python -m scripts.vision_model.train --out bundler/demo/vision

Run it in the checkout's root, in an environment that has scripts/vision_model/requirements.txt. One processor core
needs twenty minutes. The same PyTorch on the same kind of machine gives the same bytes. What is printed at the
end is how many questions about pictures that were never trained are answered word for word.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from scripts.demo_model import corpus, model
from scripts.demo_model import export as language
from scripts.demo_model import tokenizer as vocabulary
from scripts.demo_model.model import Llama
from scripts.demo_model.muon import Muon
from scripts.vision_model import export, measure, pictures, scenes, vit
from scripts.vision_model.album import Album, Sight
from scripts.vision_model.pictures import Picture
from scripts.vision_model.scenes import COLOURS, KINDS, Scene
from scripts.vision_model.table import UNASKED, WORDS
from scripts.vision_model.talks import PLACE, Example, Talks, example, texts
from scripts.vision_model.vit import Eye, Probe

_SEED = 1969
_NAMED = 0.5  # how much it counts that a patch is near the word of its row
_WIDTH = 128  # of the language model, and so of what the projector gives
_SIGHTS = 64  # of a step in which the eye learns
_TALKS = 16  # of a step in which the language model does
_ABOUT = language.About(
    "loaf vision demo",
    "A toy that sees shapes, colours, numbers up to four and digits: the vision demo inside loaf. "
    "Trained from scratch; not for real pictures.",
)


@dataclass(frozen=True)
class Pair:
    """What is exported, and what the eye is asked while it learns."""

    eye: Eye
    speaker: Llama
    probe: Probe


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(_SEED)
    torch.set_num_threads(1)  # sums are split by thread, so another number gives other last digits
    torch.use_deterministic_algorithms(True)
    tokenizer = vocabulary.train(texts(1500))
    speaker = Llama(model.Shape(tokenizer.get_vocab_size(), width=_WIDTH, layers=4, heads=4, kv_heads=2, hidden=256))
    eye = Eye(vit.Shape(out=_WIDTH))
    pair = Pair(eye, speaker, Probe(eye.shape, len(KINDS), len(COLOURS), len(WORDS)))
    _look(pair, arguments.looks)
    _talk(pair, tokenizer, arguments.talks)
    write(pair, tokenizer, arguments.out)
    measure.report(eye, speaker, tokenizer)


def write(pair: Pair, tokenizer: Tokenizer, folder: Path) -> None:
    """Both files."""
    language.write(folder / "vision.gguf", pair.speaker, tokenizer, corpus.template(), _ABOUT)
    export.write(folder / "mmproj-vision.gguf", pair.eye, _ABOUT)
    for name in ("vision.gguf", "mmproj-vision.gguf"):
        print(f"{folder / name}: {(folder / name).stat().st_size:,} bytes", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the vision demo.")
    parser.add_argument("--out", type=Path, required=True, help="the folder that gets the two GGUFs")
    parser.add_argument("--looks", type=int, default=1500, help="steps of the eye (default: %(default)s)")
    parser.add_argument("--talks", type=int, default=800, help="steps of the language model (default: %(default)s)")
    return parser.parse_args()


def _look(pair: Pair, steps: int) -> None:
    """The eye learns what each patch shows, and from that the table: of large things on white at first, then of all."""
    shape = pair.eye.shape
    large = Album(shape, _SEED + 1, lambda random: pictures.draw_large(scenes.alone(random), random, shape.image))
    all_ = Album(shape, _SEED + 2, _any_picture)
    random = Random(_SEED + 3)
    pace = _Pace("look", [pair.eye.v, pair.probe], steps)
    for step in range(steps):
        part = 4 * step / steps - 0.4  # of all kinds
        sights = [(all_ if random.random() < part else large).take() for _ in range(_SIGHTS)]
        near, states = pair.eye.v.both(torch.stack([sight.seen for sight in sights]))
        patches = pair.probe.patches(near, torch.stack([sight.labels for sight in sights]))
        pace.step(patches + pair.probe.rows(states, torch.stack([sight.table for sight in sights])))


def _any_picture(random: Random) -> Picture:
    """Single things more often: digits are the hardest to tell apart."""
    return pictures.draw(scenes.alone(random) if random.random() < 0.25 else scenes.scene(random), random)


def _talk(pair: Pair, tokenizer: Tokenizer, steps: int) -> None:
    """The language model learns to find in what the eye sees what is asked for. The eye has learnt."""
    album = Album(pair.eye.shape, _SEED + 4, lambda random: pictures.draw(scenes.scene(random), random), pair.eye.v)
    shown: list[Sight] = []

    def shows() -> Scene:
        shown.append(album.take())
        return shown[-1].scene

    talks = Talks(_SEED + 5, shows)
    words = _words(tokenizer)
    pace = _Pace("talk", [pair.eye.mm, pair.speaker], steps)
    for _ in range(steps):
        shown.clear()
        batch = [example(talks.talk(), tokenizer, pair.eye.shape.patches) for _ in range(_TALKS)]
        seen = pair.eye.mm(torch.stack([sight.seen for sight in shown]))
        named = _named(pair, seen, torch.stack([sight.table for sight in shown]), words)
        pace.step(_answered(pair, batch, seen) + _NAMED * named)


def _answered(pair: Pair, batch: list[Example], seen: Tensor) -> Tensor:
    """The loss of the assistant's words; patches are put into the stream where their PLACEs are."""
    length = max(len(one.tokens) for one in batch)
    tokens = torch.tensor([one.tokens + [0] * (length - len(one.tokens)) for one in batch])
    said = torch.tensor([one.said + [False] * (length - len(one.said)) for one in batch])[:, 1:]
    stream = pair.speaker.token_embd(tokens.clamp(min=0))
    stream = stream.masked_scatter((tokens == PLACE).unsqueeze(-1), seen)
    states = pair.speaker.states(stream[:, :-1])
    return F.cross_entropy(pair.speaker.logits(states[said]), tokens[:, 1:][said])


def _named(pair: Pair, seen: Tensor, tables: Tensor, words: Tensor) -> Tensor:
    """The loss of a patch that is not near the word of its row: the model then has only to copy it."""
    asked = tables != UNASKED
    return F.cross_entropy(pair.speaker.logits(seen[:, : tables.shape[1]][asked]), words[tables[asked]])


def _words(tokenizer: Tokenizer) -> Tensor:
    """The tokens that the table's words are, or end in."""
    found = [tokenizer.encode(f" {word}").ids[-1] for word in WORDS]
    assert len(set(found)) == len(WORDS)
    return torch.tensor(found)


class _Pace:
    """The optimizers of one stage, their slowing down, and a line of progress now and then."""

    def __init__(self, name: str, parts: list[nn.Module], steps: int) -> None:
        self.name, self.steps, self.done = name, steps, 0
        parameters = [(key, p) for part in parts for key, p in part.named_parameters()]
        self.matrices = [p for key, p in parameters if p.ndim == 2 and ".blk." in f".{key}"]
        others = [p for _, p in parameters if not any(p is matrix for matrix in self.matrices)]
        self.optimizers = [Muon(self.matrices, lr=0.02), torch.optim.Adam(others, lr=0.003, betas=(0.9, 0.95))]
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(o, self._share) for o in self.optimizers]
        self.started = time.monotonic()

    def step(self, loss: Tensor) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()
        self.done += 1
        if self.done % 50 == 0:
            seconds = time.monotonic() - self.started
            print(f"{self.name} {self.done}/{self.steps}  loss {loss.item():.4f}  {seconds:.0f} s", flush=True)

    def _share(self, step: int) -> float:
        """Full speed after a short start; the last half slows down to almost nothing."""
        return min((step + 1) / 20, 1.0, max(0.02, 2 * (1 - step / self.steps)))


if __name__ == "__main__":
    main()
