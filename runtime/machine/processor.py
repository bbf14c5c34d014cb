"""Which of ggml's variants a processor can run, and what it lacks for the next better one.

Knows where Linux says what processor this is. ggml chooses by itself, by asking the processor: this says why. Refuses
to load anything, and to know what the variants are (`variants.py`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from runtime.machine.variants import Family


class Variant(msgspec.Struct, frozen=True):
    """The one by the name `name`, what it uses, and the next better one with what this processor lacks for that.

    `better` "": there is none, or nobody knows.
    """

    name: str
    uses: tuple[str, ...] = ()
    better: str = ""
    lacks: tuple[str, ...] = ()


def describe_variant(family: Family, name: str, flags: frozenset[str]) -> Variant:
    """The variant `name` on a processor with these flags."""
    if name not in family.variants:  # of another kind of processors
        return Variant(name)
    uses = family.variants[name]
    if name != best_variant(family, flags):  # Linux and ggml were not told the same, as in emulators
        return Variant(name, uses)
    for better in sorted(family.variants, key=family.score):
        lacks = family.lacks(better, flags)
        if family.score(better) > family.score(name) and lacks:
            return Variant(name, uses, better, lacks)
    return Variant(name, uses)


def best_variant(family: Family, flags: frozenset[str]) -> str:
    """The one that ggml takes; "unknown" where nobody knows of any."""
    can_run = (name for name in family.variants if not family.lacks(name, flags))
    return max(can_run, key=family.score, default="unknown")


def read_processor(root: Path = Path("/")) -> tuple[str, frozenset[str]]:
    """(name, flags) of the first one in /proc/cpuinfo; empty where it says neither.

    On ARM Linux knows no processor's name: there it is the machine's, where the firmware says it.
    """
    try:
        first = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return "", frozenset()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    flags = said.get("flags", said.get("Features", ""))
    return said.get("model name", "") or _machine_name(root), frozenset(flags.split())


def _machine_name(root: Path) -> str:
    """What the device tree calls the machine: "Raspberry Pi 5 Model B Rev 1.0". It ends with a zero byte."""
    try:
        return (root / "proc/device-tree/model").read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
