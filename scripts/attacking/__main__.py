"""`scripts/attack`: everything that is known to have gone wrong, and what never did, tried on a built file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from access import SMUGGLING, WITH_KEYS, WITHOUT_KEYS
from attack import Attack, Result, carry_out
from bodies import ATTACKS as BODIES
from crowd import ATTACKS as CROWD
from files import LAUNCHING, LIES, SLOTS
from target import KEY, ROOT, TargetFailed, served

_MEGABYTE = 1_000_000

GROUPS: dict[str, tuple[Sequence[Attack], tuple[str, ...]]] = {
    "bodies": (BODIES, ()),
    "crowd": (CROWD, ()),
    "names": (WITHOUT_KEYS, ()),
    "keys": (WITH_KEYS, ("--api-key", KEY)),
    "smuggling": (SMUGGLING, ()),
    "slots": (SLOTS, ()),
    "launching": (LAUNCHING, ()),
    "lies": (LIES, ()),
}
"""The attacks, and the flags of the server that they are for."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--only", type=click.Choice([*GROUPS]), multiple=True, help="These alone; may be given again.")
@click.option("--slower", type=float, default=1.5, show_default=True, help="How many times as long others may wait.")
@click.option("--left", type=int, default=60, show_default=True, help="MB that may be left of it in memory.")
@click.argument("file", type=click.Path(path_type=Path), default=ROOT / "dist" / "demo.loaf")
def attack(only: tuple[str, ...], slower: float, left: int, file: Path) -> None:
    """Attack FILE, a bundle [dist/demo.loaf]: it must refuse or bear everything.

    While it is attacked somebody else asks for short answers: their median must not be more than --slower times what it
    is without, and memory must come back. Exits with 1 where something did not hold.
    """
    failed = 0
    for group in only or GROUPS:
        attacks, flags = GROUPS[group]
        click.echo(f"{group}:")
        try:
            with served(file.resolve(), *flags) as target:
                for one in attacks:
                    result = carry_out(one, target)
                    wrong = _wrong(result, slower, left * _MEGABYTE)
                    failed += bool(wrong)
                    click.echo(_line(result, wrong))
        except TargetFailed as error:
            failed += 1
            click.echo(f"  FAILED  {error}")
    total = sum(len(GROUPS[group][0]) for group in only or GROUPS)
    click.echo(f"{total} attacks, {failed} of which did not end as they should")
    sys.exit(1 if failed else 0)


def _wrong(result: Result, slower: float, left: int) -> str:
    if result.problem:
        return result.problem
    if result.slower > slower:
        return "others wait too long"
    return "memory does not come back" if result.left > left else ""


def _line(result: Result, wrong: str) -> str:
    text = f"  {'FAILED' if wrong else 'held':<7} {result.attack.name:<48} {result.seconds:6.2f} s"
    if result.attack.is_load:
        text += f"  others {result.slower:5.2f} x (slowest {result.slowest:.2f} s)"
        text += f"  memory +{result.peak / _MEGABYTE:.0f} MB, left {result.left / _MEGABYTE:.0f} MB"
    return f"{text}  {wrong}".rstrip()


if __name__ == "__main__":
    attack(prog_name="scripts/attack")
