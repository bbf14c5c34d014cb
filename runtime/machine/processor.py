"""Which of ggml's variants for x86-64 a processor can run, and what it lacks for the next better one.

Knows ggml's list (ggml/src/CMakeLists.txt), how it ranks them (ggml/src/ggml-cpu/arch/x86/cpu-feats.cpp) and what Linux
calls the same features. ggml chooses by itself, by asking the processor: this says why. Refuses to load anything.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

_FLAGS = {
    "FMA": ("fma",),
    "F16C": ("f16c",),
    "SSE4.2": ("sse4_2",),
    "BMI2": ("bmi2",),
    "AVX": ("avx",),
    "AVX2": ("avx2",),
    "AVX-VNNI": ("avx_vnni",),
    "AVX-512": ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"),
    "AVX-512 VBMI": ("avx512vbmi",),
    "AVX-512 BF16": ("avx512_bf16",),
    "AVX-512 VNNI": ("avx512_vnni",),
    "AMX INT8": ("amx_int8",),
}
"""Features, each of which ggml counts for more than all before it together, and their flags in /proc/cpuinfo."""

_HASWELL = ("SSE4.2", "AVX", "F16C", "FMA", "AVX2", "BMI2")
_SKYLAKEX = (*_HASWELL, "AVX-512")

VARIANTS: dict[str, tuple[str, ...]] = {
    "x64": (),
    "sse42": ("SSE4.2",),
    "sandybridge": ("SSE4.2", "AVX"),
    "ivybridge": ("SSE4.2", "AVX", "F16C"),
    "piledriver": ("SSE4.2", "AVX", "F16C", "FMA"),
    "haswell": _HASWELL,
    "alderlake": (*_HASWELL, "AVX-VNNI"),
    "skylakex": _SKYLAKEX,
    "cannonlake": (*_SKYLAKEX, "AVX-512 VBMI"),
    "cascadelake": (*_SKYLAKEX, "AVX-512 VNNI"),
    "icelake": (*_SKYLAKEX, "AVX-512 VBMI", "AVX-512 VNNI"),
    "cooperlake": (*_SKYLAKEX, "AVX-512 VNNI", "AVX-512 BF16"),
    "zen4": (*_SKYLAKEX, "AVX-512 VBMI", "AVX-512 VNNI", "AVX-512 BF16"),
    "sapphirerapids": (*_SKYLAKEX, "AVX-512 VBMI", "AVX-512 VNNI", "AVX-512 BF16", "AMX INT8"),
}
"""What each is compiled to use. `x64` runs on every processor of the kind."""


class Variant(msgspec.Struct, frozen=True):
    """The one by the name `name`, what it uses, and the next better one with what this processor lacks for that.

    `better` "": there is none, or nobody knows.
    """

    name: str
    uses: tuple[str, ...] = ()
    better: str = ""
    lacks: tuple[str, ...] = ()


def describe_variant(name: str, flags: frozenset[str]) -> Variant:
    """The variant `name` on a processor with these flags."""
    if name not in VARIANTS:  # of another kind of processors
        return Variant(name)
    if name != best_variant(flags):  # Linux and ggml were not told the same, as in emulators
        return Variant(name, VARIANTS[name])
    for better in sorted(VARIANTS, key=_score):
        lacks = _lacks(better, flags)
        if _score(better) > _score(name) and lacks:
            return Variant(name, VARIANTS[name], better, lacks)
    return Variant(name, VARIANTS[name])


def best_variant(flags: frozenset[str]) -> str:
    """The one that ggml takes."""
    return max((name for name in VARIANTS if not _lacks(name, flags)), key=_score)


def read_processor(root: Path = Path("/")) -> tuple[str, frozenset[str]]:
    """(name, flags) of the first one in /proc/cpuinfo; empty where it says neither."""
    try:
        first = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return "", frozenset()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    return said.get("model name", ""), frozenset(said.get("flags", "").split())


def _score(name: str) -> int:
    order = list(_FLAGS)
    return sum(1 << order.index(feature) for feature in VARIANTS[name])


def _lacks(name: str, flags: frozenset[str]) -> tuple[str, ...]:
    return tuple(feature for feature in VARIANTS[name] if not flags.issuperset(_FLAGS[feature]))
