"""Sounds that were changed by chance, decoded in this process, which a decoder that fails may end.

`python -m support.mutated_sounds COUNT SEED` prints what came of them as JSON: how many were read and how many refused,
the seconds that the slowest took, and by how many megabytes the process grew at most.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time

from runtime.media.errors import MediaError
from runtime.media.sounds import decode_sound
from support.sounds import FORMS, tone, written

_HEADER = 200
"""Bytes in which most changes are made: they say how the rest is read."""


def main(count: int, seed: int) -> None:
    chance = random.Random(seed)
    files = [written(tone(0.5, rate=48_000, channels=2), form, 48_000, 2) for form in FORMS]
    decode_sound("f", files[0], 16_000)  # what is loaded for the first is no sound's memory
    before, outcomes, slowest = _peak(), {"read": 0, "refused": 0}, 0.0
    for i in range(count):
        data = mutated(chance, files[i % len(files)], chance.choice(files))
        began = time.monotonic()
        try:
            decode_sound("f", data, 16_000)
            outcomes["read"] += 1
        except MediaError:
            outcomes["refused"] += 1
        slowest = max(slowest, time.monotonic() - began)
    print(json.dumps({**outcomes, "slowest": round(slowest, 3), "megabytes": _peak() - before}))


def mutated(chance: random.Random, file: bytes, other: bytes) -> bytes:
    """`file` with several changes: in its header or anywhere, cut off, or gone on with as `other`."""
    data = bytearray(file)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(min(len(data), _HEADER) if chance.random() < 0.7 else len(data))
        match chance.choice(("flip", "most", "least", "noise", "gone", "again", "cut", "splice")):
            case "flip":
                data[at] ^= 1 << chance.randrange(8)
            case "most":
                data[at : at + 4] = b"\xff" * 4
            case "least":
                data[at : at + 4] = bytes(4)
            case "noise":
                data[at : at + 8] = chance.randbytes(8)
            case "gone":
                del data[at : at + chance.randint(1, 64)]
            case "again":
                data[at:at] = data[at : at + chance.randint(1, 64)]
            case "cut":
                del data[max(at, 40) :]
            case _:
                data[at:] = other[at:]
        data = data or bytearray(file)
    return bytes(data)


def _peak() -> int:
    """Megabytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
