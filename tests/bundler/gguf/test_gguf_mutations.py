"""Damaged and hostile headers: each is read or refused with a reason, in bounded time and memory."""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundler.errors import GGUFError
from bundler.gguf import contexts_of_interest, estimate_memory, read_gguf, summarize
from support.ggufs import ARRAY, LLAMA, STRING, gguf_bytes, string, tensor_info, write_gguf

MEMORY_LIMIT = 200 << 20
CPU_SECONDS_LIMIT = 4.0

WHOLE = gguf_bytes()
HEADER_SIZE = len(gguf_bytes(LLAMA, ())) + 200
ABSURD = [struct.pack("<Q", n) for n in (0, 1, 2**16, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)]


def mutations() -> Iterator[bytes]:
    """Some 2,700 files: each header byte flipped, overwritten by absurd counts, cut off; and big ones."""
    chance = random.Random(1)
    for at in range(HEADER_SIZE):
        yield WHOLE[:at]
        yield WHOLE[:at] + bytes([WHOLE[at] ^ 1 << chance.randrange(8)]) + WHOLE[at + 1 :]
        absurd = ABSURD[at % len(ABSURD)]
        yield WHOLE[:at] + absurd + WHOLE[at + len(absurd) :]
    for _ in range(300):
        damaged = bytearray(WHOLE)
        for _ in range(chance.randrange(2, 30)):
            damaged[chance.randrange(4, HEADER_SIZE)] = chance.randrange(256)
        yield bytes(damaged)
    yield from _large()


def _large() -> Iterator[bytes]:
    """Files of 4 MB that make the most of each byte."""
    size = 4 << 20

    def start(tensors: int, keys: int) -> bytes:
        return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)

    def array(element: int, length: int) -> bytes:
        return string("k") + struct.pack("<IIQ", ARRAY, element, length)

    yield start(0, 1) + array(STRING, size // 8) + bytes(size)
    yield start(0, 1) + array(0, size) + bytes(size)
    yield (start(0, 1) + string("general.architecture") + struct.pack("<I", STRING) + string("\u20ac" * (size // 3)))
    keys = 1 << 16
    yield start(0, keys) + b"".join(string(f"{n:x}") + struct.pack("<Id", 12, n) for n in range(keys))
    few = array(STRING, 1000) + (string("\U0001f600\u20ac") * 1000)
    yield start(0, 250) + b"".join(few.replace(b"k", b"%c%c" % (65 + n % 26, 65 + n // 26), 1) for n in range(250))
    yield start(0, 300) + b"".join(
        string(f"{n:03}") + struct.pack("<IIQ", ARRAY, 5, 1024) + bytes(range(256)) * 16 for n in range(300)
    )
    yield start(keys, 0) + b"".join(tensor_info(f"t{n:x}", (0,), 0, 0) for n in range(keys)) + bytes(32)
    yield start(0, 1) + array(ARRAY, size // 12) + struct.pack("<IQ", ARRAY, 1) * (size // 12)


def examine(path: Path, offset: int = 0, size: int | None = None) -> None:
    """Do what `loaf inspect` does. Anything raised but GGUFError is a bug."""
    try:
        info = summarize(read_gguf(path, offset=offset, size=size))
        for context in contexts_of_interest(info):
            estimate_memory(info, context)
    except GGUFError as error:
        assert str(path) in error.message
        assert error.hint


def test_no_mutation_crashes_hangs_or_takes_much_memory(tmp_path: Path) -> None:
    """In a process that does nothing else and whose address space is limited.

    All mutations lie in one file, as weights lie in a bundle, so that the child never holds them.
    """
    sizes = []
    with (tmp_path / "all").open("wb") as file:
        for data in mutations():
            sizes.append(file.write(data))
    assert len(sizes) > 2000
    child = subprocess.run(
        [sys.executable, __file__, file.name],
        input="\n".join(map(str, sizes)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert child.returncode == 0, child.stderr
    slowest, growth = child.stdout.split()
    assert float(slowest) < CPU_SECONDS_LIMIT
    assert int(growth) < MEMORY_LIMIT


def test_zeros_without_end_do_not_hang(tmp_path: Path) -> None:
    """A string count that runs into gigabytes of zeros, which all are empty strings."""
    huge = 8 << 30
    path = tmp_path / "m.gguf"
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k")
    for element, length in ((STRING, huge // 8 - 100), (STRING, 8_000_000), (0, huge - 1000)):
        path.write_bytes(header + struct.pack("<IIQ", ARRAY, element, length))
        os.truncate(path, huge)  # sparse: takes no room
        started = time.process_time()
        examine(path)
        assert time.process_time() - started < 10


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.integers(4, HEADER_SIZE), st.integers(0, 8), st.binary(max_size=12)),
        min_size=1,
        max_size=6,
    )
)
def test_bytes_put_in_left_out_and_replaced(tmp_path: Path, edits: list[tuple[int, int, bytes]]) -> None:
    data = WHOLE
    for at, removed, added in edits:
        data = data[:at] + added + data[at + removed :]
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    examine(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from([*LLAMA, "llama.attention.key_length", "llama.attention.sliding_window", "general.type"]),
    item=st.one_of(
        st.booleans(),
        st.integers(0, 2**32 - 1),
        st.floats(width=32),
        st.text(max_size=20).filter(str.isprintable),
    ),
)
def test_values_of_any_type_under_any_key(tmp_path: Path, key: str, item: bool | int | float | str) -> None:
    examine(write_gguf(tmp_path / "m.gguf", {**LLAMA, key: item}))


def _main(path: Path) -> None:
    """Examine the mutations that lie in `path`, their sizes on stdin; print the seconds of the slowest
    and the bytes by which memory grew."""
    sizes = [int(line) for line in sys.stdin]
    examine(path, 0, len(WHOLE))
    before = _memory("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + MEMORY_LIMIT, resource.RLIM_INFINITY))
    slowest, offset = 0.0, 0
    for size in sizes:
        started = time.process_time()
        examine(path, offset, size)
        slowest = max(slowest, time.process_time() - started)
        offset += size
    print(slowest, _memory("VmHWM") - before)


def _memory(what: str) -> int:
    """Bytes of this process: VmSize its address space, VmRSS in use, VmHWM in use at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
