"""How many questions about pictures that were never trained the pair answers word for word, greedily, in PyTorch.

Trains nothing. check.py asks the same through libmtmd.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer

from scripts.demo_model.model import Llama
from scripts.demo_model.tokenizer import END
from scripts.vision_model import seeing
from scripts.vision_model.examining import COUNT, Case, Tally, cases
from scripts.vision_model.talks import MARKER
from scripts.vision_model.vit import Eye


@torch.no_grad()
def report(eye: Eye, speaker: Llama, tokenizer: Tokenizer, count: int = COUNT) -> None:
    """Prints right answers by kind."""
    tally = Tally()
    for case in cases(count):
        tally.add(case, _answer(eye, speaker, tokenizer, case))
    tally.print()


def _answer(eye: Eye, speaker: Llama, tokenizer: Tokenizer, case: Case) -> str:
    end = tokenizer.token_to_id(END)
    before, after = (tokenizer.encode(part).ids for part in case.prompt.split(MARKER))
    seen = eye(seeing.pixels(case.picture.image, eye.shape.image)[None])[0]
    said: list[int] = []
    while len(said) < 24:
        text = speaker.token_embd(torch.tensor(after + said))
        stream = torch.cat((speaker.token_embd(torch.tensor(before)), seen, text))
        token = int(speaker.logits(speaker.states(stream[None])[0, -1]).argmax())
        if token == end:
            break
        said.append(token)
    return tokenizer.decode(said)
