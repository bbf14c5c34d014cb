"""Weights with a damaged header, given to the real program: it refuses or runs, but never crashes, hangs or swells."""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bundler.gguf import read_gguf
from support.bundles import clean_environment

ABSURD = (2**64 - 1, 2**63, 2**62, 2**32, 2**31 - 1, 10**9, 0)
MEGABYTE = 1024 * 1024


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


@pytest.mark.slow
def test_no_damaged_header_brings_it_down(demo: Path, demo_gguf: Path, warm_cache: Path, tmp_path: Path) -> None:
    weights, header = demo_gguf.read_bytes(), read_gguf(demo_gguf).data_offset

    def attempt(number: int) -> str | None:
        """What went wrong with mutation `number`; None when nothing did."""
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(mutate(weights, header, number))
        flags = ["-m", path, "-p", "x", "--raw", "-n", "1", "-c", "64", "-np", "1", "-t", "1"]
        with (tmp_path / f"{number}.err").open("w+") as error:
            process = subprocess.Popen(
                [demo, *flags], env=clean_environment(warm_cache), stdout=subprocess.DEVNULL, stderr=error
            )
            status, peak = wait(process, seconds=60)
            error.seek(0)
            said = error.read()
        path.unlink()
        if status not in (0, 1) or "Traceback" in said or (status == 1 and "error: " not in said):
            return f"mutation {number} ended with {status}: {said}"
        if peak > 200 * MEGABYTE:
            return f"mutation {number} took {peak // MEGABYTE} MB"
        return None

    with ThreadPoolExecutor(2) as pool:
        assert [problem for problem in pool.map(attempt, range(200)) if problem] == []


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
