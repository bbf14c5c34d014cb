"""What looking at a picture takes: until the first token, until that of a second question, and of others' time.

Knows how llama.cpp's dialect is shown pictures. Refuses to know which servers there are.
"""

from __future__ import annotations

import asyncio
import base64
import io
import random
from dataclasses import dataclass
from typing import Any

from cases import USUAL, LongPrompt, Prompts, longest_gap
from contestants import MARKER
from PIL import Image
from processes import RunningServer
from report import Unit
from streams import Exchange

SIDE = 448


@dataclass(frozen=True, slots=True)
class Looking:
    """One picture is asked about, and asked about again; then another one comes in beside three streams.

    The longest gap of those is measured in chunks of a text, as `LongPrompt` has them.
    """

    prompts: Prompts

    STREAMS = 3
    TOKENS = 640
    FIRST = "a picture of 448 x 448: first token"
    AGAIN = "  of a second question about it"
    SHARE = "  that, in the first one's"
    GAP = "one comes in: longest gap in 3 streams"
    ALONE = "  512 tokens of a text alone"
    RATIO = "  the gap, measured in those "

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.FIRST: "s", self.AGAIN: "s", self.SHARE: "x", self.GAP: "s", self.ALONE: "s", self.RATIO: "x"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        picture = _picture(f"alone {number}")
        first = await self._first_token(server, picture, f"first {number}")
        again = await self._first_token(server, picture, f"again {number}")
        alone = await LongPrompt(self.prompts).last_chunk(server, number)
        gap = await self._gap(server, number)
        return {
            self.FIRST: first, self.AGAIN: again, self.SHARE: again / first,
            self.GAP: gap, self.ALONE: alone, self.RATIO: gap / alone,
        }  # fmt: skip

    async def _first_token(self, server: RunningServer, picture: str, seed: str) -> float:
        asked = _asked(server, picture, seed)
        await asked.finished()
        return asked.answer().first_token

    async def _gap(self, server: RunningServer, number: int) -> float:
        """The longest one of three streams, from when a picture is sent to the first token about it."""
        texts = [self.prompts.random(f"beside {number} {stream}", 32) for stream in range(self.STREAMS)]
        running = [
            Exchange(server.port, "/completion", {**_STREAMED, "prompt": one, "n_predict": 640}) for one in texts
        ]
        for stream in running:
            await stream.several_pieces(16)
        asked = _asked(server, _picture(f"beside {number}"), f"beside {number}")
        await asyncio.gather(asked.finished(), *(stream.finished() for stream in running))
        return max(longest_gap(stream.answer().arrivals, asked.answer()) for stream in running)


_STREAMED: dict[str, Any] = {"stream": True, "ignore_eos": True, "cache_prompt": True, **USUAL}


def _asked(server: RunningServer, picture: str, seed: str) -> Exchange:
    """A question of a few words, behind the picture."""
    word = random.Random(seed).choice("abcdefghijklmnop")
    prompt = {"prompt_string": f"{MARKER} a{word}ab ab{word}c", "multimodal_data": [picture]}
    return Exchange(server.port, "/completion", {**_STREAMED, "prompt": prompt, "n_predict": 1})


def _picture(seed: str) -> str:
    """As many tiles of as many colours, in base64: a file that no other seed makes."""
    chance = random.Random(seed)
    tiles = Image.frombytes("RGB", (8, 8), chance.randbytes(8 * 8 * 3))
    file = io.BytesIO()
    tiles.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
