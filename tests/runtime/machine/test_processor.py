"""Which variant a processor gets, by the flags of real ones, and that ggml takes the same one here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.engine.llama.binding import loaded_variant, variants_there
from runtime.machine.processor import best_variant, describe_variant, read_processor
from runtime.machine.variants import Family, family_of

X86, ARM = family_of("x86_64"), family_of("aarch64")
HERE = family_of(os.uname().machine, variants_there())

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


CORTEX_A72 = "fp asimd evtstrm crc32 cpuid"
CORTEX_A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
NEOVERSE_V1 = f"{CORTEX_A76} sve i8mm bf16"
NEOVERSE_V2 = f"{NEOVERSE_V1} sve2"

ON_ARM = [
    (CORTEX_A72, "armv8.0_1", "armv8.2_1", ("dot product",)),
    (f"{CORTEX_A72} asimddp", "armv8.2_1", "armv8.2_2", ("FP16",)),
    (CORTEX_A76, "armv8.2_2", "armv8.2_3", ("SVE",)),
    (f"{CORTEX_A76} sve", "armv8.2_3", "armv8.6_1", ("I8MM",)),
    (NEOVERSE_V1, "armv8.6_1", "armv8.6_2", ("SVE2",)),
    (f"{CORTEX_A76} i8mm bf16", "armv8.2_2", "armv8.2_3", ("SVE",)),
    (NEOVERSE_V2, "armv8.6_2", "armv9.2_1", ("SME",)),
    (f"{NEOVERSE_V2} sme", "armv9.2_2", "", ()),
]


@pytest.mark.parametrize(
    ("family", "flags", "best", "better", "lacks"),
    [*((X86, *row) for row in PROCESSORS), *((ARM, *row) for row in ON_ARM)],
    ids=[row[1] for row in (*PROCESSORS, *ON_ARM)],
)
def test_the_best_variant_and_what_the_next_needs(
    family: Family, flags: str, best: str, better: str, lacks: tuple[str, ...]
) -> None:
    has = frozenset(flags.split())
    assert best_variant(family, has) == best
    described = describe_variant(family, best, has)
    assert (described.uses, described.better, described.lacks) == (family.variants[best], better, lacks)


def test_those_that_the_compiler_could_not_make_are_not_promised() -> None:
    without_sme = family_of("aarch64", [name for name in ARM.variants if "armv9" not in name])
    assert (best_variant(without_sme, frozenset(f"{NEOVERSE_V2} sme".split())), len(without_sme.variants)) == (
        "armv8.6_2",
        6,
    )
    assert describe_variant(without_sme, "armv8.6_2", frozenset(NEOVERSE_V2.split())).better == ""


def test_ggml_takes_the_best_one_here() -> None:
    _name, flags = read_processor()
    assert loaded_variant() == best_variant(HERE, flags)


def test_the_list_has_all_files_that_there_are() -> None:
    """At least those that every program has: the first, and the usual ones."""
    everything = family_of(os.uname().machine)
    assert {next(iter(everything.variants)), *everything.usual} <= variants_there() <= set(everything.variants)


@pytest.mark.parametrize("family", [X86, ARM], ids=["x86-64", "ARM"])
def test_each_is_named_with_what_makes_it_better(family: Family) -> None:
    for name, uses in family.variants.items():
        assert (
            family.title(name) == f"{name} ({max(uses, key=list(family.features).index) if uses else 'any processor'})"
        )
    assert X86.title("haswell") == "haswell (AVX2)"


def test_a_processor_of_another_kind() -> None:
    assert describe_variant(X86, "armv8.2_1", frozenset()).uses == ()
    nothing = family_of("riscv64")
    assert describe_variant(nothing, best_variant(nothing, frozenset()), frozenset()).name == "unknown"


def test_a_processor_that_says_less_than_linux() -> None:
    described = describe_variant(X86, "x64", frozenset(HASWELL.split()))
    assert (described.name, described.better, described.lacks) == ("x64", "", ())


def test_what_linux_does_not_say(tmp_path: Path) -> None:
    assert read_processor(tmp_path) == ("", frozenset())
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: A: B\nflags\t\t: avx fma\n\nflags\t: none\n")
    assert read_processor(tmp_path) == ("A: B", frozenset({"avx", "fma"}))


def test_what_linux_says_on_arm(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd08\n")
    assert read_processor(tmp_path) == ("", frozenset({"fp", "asimd"}))
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi 4 Model B\0")
    assert read_processor(tmp_path)[0] == "Raspberry Pi 4 Model B"
