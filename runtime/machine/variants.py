"""ggml's variants of its backend for processors, by the machine's kind: what each is compiled to use.

Knows ggml's lists (ggml/src/CMakeLists.txt), how it ranks what they use (ggml/src/ggml-cpu/arch/*/cpu-feats.cpp) and
what Linux calls the same features. Refuses to know which processor this is.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Family(msgspec.Struct, frozen=True):
    """One kind of processors.

    `features`: each counts for more with ggml than all before it together; with its flags in /proc/cpuinfo.
    `variants`: what each is compiled to use. The first one runs on every processor of the kind.
    `usual`: those that, with the first one, serve most processors in use nearly as well as all do.
    """

    features: dict[str, tuple[str, ...]]
    variants: dict[str, tuple[str, ...]]
    usual: tuple[str, ...] = ()

    def score(self, name: str) -> int:
        """ggml takes the variant that has the most, of those that can be run."""
        order = list(self.features)
        return sum(1 << order.index(feature) for feature in self.variants[name])

    def title(self, name: str) -> str:
        """The variant `name` with what it uses that counts for most: "haswell (AVX2)"."""
        most = max(self.variants.get(name, ()), key=list(self.features).index, default="any processor")
        return f"{name} ({most})"

    def lacks(self, name: str, flags: frozenset[str]) -> tuple[str, ...]:
        """What a processor with these flags does not have of what the variant uses."""
        return tuple(one for one in self.variants[name] if not flags.issuperset(self.features[one]))


_HASWELL = ("SSE4.2", "AVX", "F16C", "FMA", "AVX2", "BMI2")
_SKYLAKEX = (*_HASWELL, "AVX-512")

_X86_64 = Family(
    features={
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
    },
    variants={
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
    },
    usual=("haswell",),
)

_ARMV8_2 = ("dot product", "FP16")
_ARMV8_6 = (*_ARMV8_2, "SVE", "I8MM")

_AARCH64 = Family(
    features={
        "dot product": ("asimddp",),
        "FP16": ("fphp", "asimdhp"),
        "SVE": ("sve",),
        "I8MM": ("i8mm",),
        "SVE2": ("sve2",),
        "SME": ("sme",),
    },
    variants={
        "armv8.0_1": (),
        "armv8.2_1": ("dot product",),
        "armv8.2_2": _ARMV8_2,
        "armv8.2_3": (*_ARMV8_2, "SVE"),
        "armv8.6_1": _ARMV8_6,
        "armv8.6_2": (*_ARMV8_6, "SVE2"),
        "armv9.2_1": (*_ARMV8_6, "SME"),
        "armv9.2_2": (*_ARMV8_6, "SVE2", "SME"),
    },
    usual=("armv8.2_2",),
)
"""All of them use NEON, which every such processor has."""

_FAMILIES = {"x86_64": _X86_64, "aarch64": _AARCH64}

KINDS = tuple(_FAMILIES)
"""The machines of which the variants are known, as `uname -m` has them."""


def family_of(machine: str, there: Collection[str] = ()) -> Family:
    """That of `machine`, as `uname -m` has it, with the variants that are `there`: not every compiler can make all."""
    family = _FAMILIES.get(machine, Family({}, {}))
    kept = {name: uses for name, uses in family.variants.items() if name in there or not there}
    return Family(family.features, kept, tuple(name for name in family.usual if name in kept))
