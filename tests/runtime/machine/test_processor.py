"""Which variant a processor gets, by the flags of real ones, and that ggml takes the same one here."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine.llama.binding import loaded_variant
from runtime.machine.processor import VARIANTS, best_variant, describe_variant, read_processor

NEHALEM = "sse sse2 ssse3 sse4_1 sse4_2 popcnt"
IVY_BRIDGE = f"{NEHALEM} avx f16c"
HASWELL = f"{IVY_BRIDGE} fma avx2 bmi1 bmi2"
SKYLAKE_X = f"{HASWELL} avx512f avx512cd avx512bw avx512dq avx512vl"
ICE_LAKE = f"{SKYLAKE_X} avx512vbmi avx512_vnni"
ZEN_4 = f"{ICE_LAKE} avx512_bf16"

PROCESSORS = [
    ("sse sse2", "x64", "sse42", ("SSE4.2",)),
    (NEHALEM, "sse42", "sandybridge", ("AVX",)),
    (f"{NEHALEM} avx", "sandybridge", "ivybridge", ("F16C",)),
    (IVY_BRIDGE, "ivybridge", "piledriver", ("FMA",)),
    (f"{IVY_BRIDGE} fma fma4", "piledriver", "haswell", ("AVX2", "BMI2")),
    (HASWELL, "haswell", "alderlake", ("AVX-VNNI",)),
    (f"{HASWELL} avx_vnni", "alderlake", "skylakex", ("AVX-512",)),
    (SKYLAKE_X.replace("avx512vl", ""), "haswell", "alderlake", ("AVX-VNNI",)),
    (SKYLAKE_X, "skylakex", "cannonlake", ("AVX-512 VBMI",)),
    (f"{SKYLAKE_X} avx512_vnni", "cascadelake", "icelake", ("AVX-512 VBMI",)),
    (ICE_LAKE, "icelake", "cooperlake", ("AVX-512 BF16",)),
    (ZEN_4, "zen4", "sapphirerapids", ("AMX INT8",)),
    (f"{ZEN_4} avx_vnni amx_tile amx_int8", "sapphirerapids", "", ()),
]


@pytest.mark.parametrize(("flags", "best", "better", "lacks"), PROCESSORS, ids=[row[1] for row in PROCESSORS])
def test_the_best_variant_and_what_the_next_needs(flags: str, best: str, better: str, lacks: tuple[str, ...]) -> None:
    has = frozenset(flags.split())
    assert best_variant(has) == best
    described = describe_variant(best, has)
    assert (described.uses, described.better, described.lacks) == (VARIANTS[best], better, lacks)


def test_ggml_takes_the_best_one_here() -> None:
    _name, flags = read_processor()
    assert loaded_variant() == best_variant(flags)


def test_the_list_is_that_of_the_files_that_there_are() -> None:
    import llama_cpp.llama_cpp as binding

    folder = Path(binding.__file__).parent
    found = [*folder.glob("lib/libggml-cpu-*.so"), *folder.parent.glob("bin/libggml-cpu-*.so")]
    assert sorted(path.stem.removeprefix("libggml-cpu-") for path in found) == sorted(VARIANTS)


def test_a_processor_of_another_kind() -> None:
    assert describe_variant("armv8.2_1", frozenset()).uses == ()


def test_a_processor_that_says_less_than_linux() -> None:
    described = describe_variant("x64", frozenset(HASWELL.split()))
    assert (described.name, described.better, described.lacks) == ("x64", "", ())


def test_what_linux_does_not_say(tmp_path: Path) -> None:
    assert read_processor(tmp_path) == ("", frozenset())
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: A: B\nflags\t\t: avx fma\n\nflags\t: none\n")
    assert read_processor(tmp_path) == ("A: B", frozenset({"avx", "fma"}))
