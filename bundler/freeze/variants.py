"""Which of ggml's variants for processors a program has: all of them, or first those that matter on this machine.

Knows which ones the compiler can make. Refuses to know how, and what has been made already (`llama.py`).

A variant takes one to three minutes of a processor, and a program runs with any set that has the first one: of those
that are there, ggml takes the best that the processor can run.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bundler.errors import NoSuchPlatform
from bundler.freeze.compiler import Compiler, understands

if TYPE_CHECKING:
    from runtime.machine.variants import Family


def knows_sme(compiler: Compiler, machine: str) -> bool:
    """Whether it compiles what arm64's last variants use; on other machines nothing does."""
    return machine != "aarch64" or understands(compiler, "-march=armv9.2-a+sme")


def all_variants(compiler: Compiler, machine: str) -> tuple[str, ...]:
    """All that `compiler` makes for `machine`. Raises NoSuchPlatform where nobody knows any."""
    return tuple(_family(compiler, machine).variants)


def first_variants(compiler: Compiler, machine: str) -> tuple[str, ...]:
    """The one that runs everywhere, those that serve most machines, and this machine's own. Raises as above."""
    from runtime.machine.processor import best_variant, read_processor

    family = _family(compiler, machine)
    baseline = next(iter(family.variants))
    own = best_variant(family, read_processor()[1]) if machine == platform.machine() else baseline
    wanted = {baseline, *family.usual, own}
    return tuple(name for name in family.variants if name in wanted)


def describe_variants(platform_name: str, names: Sequence[str]) -> str:
    """What a program for `platform_name`, "linux-x86_64", computes with: "x64 (any processor), haswell (AVX2)"."""
    from runtime.machine.variants import family_of

    machine = platform_name.partition("-")[2]
    every, there = family_of(machine), family_of(machine, names)
    titles = [there.title(name) for name in sorted(there.variants, key=there.score)]
    if len(titles) == len(every.variants):
        return f"all {len(titles)} variants, from {titles[0]} to {titles[-1]}"
    return f"{', '.join(titles)}; {len(titles)} of {len(every.variants)} variants"


def _family(compiler: Compiler, machine: str) -> Family:
    from runtime.machine.variants import KINDS, family_of  # here, as scripts/setup begins with a Python without msgspec

    family = family_of(machine)
    if not family.variants:
        raise NoSuchPlatform(f"linux-{machine}", [f"linux-{kind}" for kind in KINDS])
    if knows_sme(compiler, machine):
        return family
    return family_of(machine, [name for name, uses in family.variants.items() if "SME" not in uses])
