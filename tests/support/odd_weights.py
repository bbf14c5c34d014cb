"""Weights with a damaged header, given to the real program: it refuses or runs, but never crashes, hangs or swells."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bundler.gguf import read_gguf

ABSURD = (2**64 - 1, 2**63, 2**62, 2**32, 2**31 - 1, 10**9, 0)
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class OddWeights:
    """What `weights` become when their header is damaged, in `folder`; `command` is the program, which sees that folder
    as `seen_as`, and has `seconds` for each. Its memory is told only where it is `measured`.
    """

    weights: Path
    folder: Path
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    seen_as: str
    seconds: float
    measured: bool = True

    def problems(self, numbers: Iterable[int]) -> list[str]:
        """What went wrong with the mutations of these `numbers`."""
        with ThreadPoolExecutor(2) as pool:
            return [problem for problem in pool.map(self._attempt, numbers) if problem]

    def _attempt(self, number: int) -> str | None:
        path = self.folder / f"{number}.gguf"
        path.write_bytes(mutate(self.weights.read_bytes(), read_gguf(self.weights).data_offset, number))
        flags = ["-m", f"{self.seen_as}/{path.name}", "-p", "x", "--raw", "-n", "1", "-c", "64", "-np", "1", "-t", "1"]
        with (self.folder / f"{number}.err").open("w+") as error:
            process = subprocess.Popen(
                [*self.command, *flags],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=error,
            )
            status, peak = wait(process, self.seconds)
            error.seek(0)
            said = error.read()
        path.unlink()
        if status not in (0, 1) or "Traceback" in said or (status == 1 and "error: " not in said):
            return f"mutation {number} ended with {status}: {said}"
        if self.measured and peak > 200 * MEGABYTE:
            return f"mutation {number} took {peak // MEGABYTE} MB"
        return None


def mutate(weights: bytes, header: int, number: int) -> bytes:
    """Mutation `number`: a header byte or count changed, or the file cut inside the header."""
    chance = random.Random(number)
    place = chance.randrange(4, header - 8)
    changed = bytearray(weights)
    kind = number % 3
    if kind == 0:
        changed[place] = chance.randrange(256)
    elif kind == 1:
        changed[place : place + 8] = chance.choice(ABSURD).to_bytes(8, "little")
    else:
        del changed[place:]
    return bytes(changed)


def wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[int, int]:
    """(exit status, peak memory in bytes) of a process that must end within `seconds`.

    The peak is sampled while it runs: what the kernel reports at the end counts the memory of whoever started it.
    """
    deadline, peak = time.monotonic() + seconds, 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError("it hangs")
        time.sleep(0.005)
    return process.returncode, peak * 1024
