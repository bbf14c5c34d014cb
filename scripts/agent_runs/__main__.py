"""`scripts/agents`: the real agents against the server."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click
from agents import AGENTS
from installing import NotInstalled, installed
from recorder import recording
from serving import bundle_server, scripted_server
from shapes import described, first_chat
from trial import Result, Session, one_question, three_turns


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--over", type=click.Choice(["scripted", "bundle", "both"]), default="scripted", show_default=True)
@click.option("--bundle", type=click.Path(exists=True, path_type=Path), help="Of the demo model; else one is built.")
@click.option("--patience", type=click.IntRange(1), default=120, show_default=True, help="Seconds a turn may take.")
@click.option("--shapes/--no-shapes", default=False, show_default=True, help="Print what each asked first.")
@click.argument("names", nargs=-1, type=click.Choice(list(AGENTS)))
def agents(over: str, bundle: Path | None, patience: int, shapes: bool, names: Sequence[str]) -> None:
    """Run NAMES, or all agents, against the server; exit with 1 when one of them fails.

    Over a scripted model, each must call a tool, see its result and answer, three turns in one session. Over a bundle
    of the demo model, which babbles, everything that they ask must be answered 2xx until they end, or are ended for
    taking too long. They are installed into the build cache at pinned versions, run in temporary folders, and reach
    nothing but this machine.
    """
    results = asyncio.run(_until_terminated(_run(over, bundle, patience, names or list(AGENTS))))
    if results is None:
        sys.exit(128 + signal.SIGTERM)
    if shapes:
        for result in results:
            if (first := first_chat(result.seen)) is not None:
                click.echo(f"{result.name} {result.version}\n{described(first)}\n")
    click.echo(_table(results))
    for result in results:
        for problem in result.problems:
            click.echo(f"- {result.name}: {problem}")
    sys.exit(any(result.problems for result in results))


async def _until_terminated(running: Coroutine[Any, Any, list[Result]]) -> list[Result] | None:
    """What `running` gives; None where SIGTERM came before, at which it has ended what it started."""
    task = asyncio.ensure_future(running)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None


async def _run(over: str, bundle: Path | None, patience: int, names: Sequence[str]) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory(prefix="loaf-agents-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        if over != "bundle":
            async with scripted_server() as url:
                results += [await _try_out(name, "scripted", url, folder, patience) for name in names]
        if over != "scripted":
            async with bundle_server(bundle, folder) as url:
                results += [await _try_out(name, "bundle", url, folder, patience) for name in names]
    return results


async def _try_out(name: str, over: str, target: str, folder: Path, patience: int) -> Result:
    agent = AGENTS[name]
    result = Result(f"{agent.page}, {over}", "")
    try:
        programs = await asyncio.to_thread(installed, agent.package)
    except NotInstalled as error:
        result.problems.append(str(error))
        return result
    async with recording(target) as (url, seen):
        result.seen = seen
        session = Session(agent, programs, folder / f"{name}-{over}", url, patience)
        result.version = await session.version()
        await (three_turns if over == "scripted" else one_question)(session, result)
    click.echo(f"{result.name}: {len(result.seen)} requests", err=True)
    return result


def _table(results: Sequence[Result]) -> str:
    rows = [["", "version", "turns", "requests", "statuses", "first", "bytes"]]
    for result in results:
        statuses = Counter(str(one.status or "left") for one in result.seen)
        first = first_chat(result.seen)
        turns = str(result.turns) if result.name.endswith("scripted") else "-"
        told = ", ".join(f"{count} × {status}" for status, count in statuses.items())
        path, size = (first.path, str(len(first.body))) if first is not None else ("", "")
        rows.append([result.name, result.version, turns, str(len(result.seen)), told, path, size])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    agents(prog_name="scripts/agents")
