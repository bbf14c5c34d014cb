"""`scripts/soak`: a server under mixed requests, many at once, so many of them or for so long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click
from judge import Outcome
from subject import ROOT, SubjectFailed, running, started
from trial import Plan, Report, try_out
from wire import Broken

_MEGABYTE = 1_000_000
_SHOWN_PROBLEMS = 20


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--requests", type=click.IntRange(1), default=2000, show_default=True, help="Ask so many.")
@click.option("--seconds", type=click.IntRange(1), help="Ask for so long instead.")
@click.option("--at-once", type=click.IntRange(1, 512), default=64, show_default=True, help="Clients.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one asks other questions.")
@click.option("--warm-up", type=int, default=200, show_default=True, help="Requests before memory is looked at.")
@click.option("--growth", type=int, default=8, show_default=True, help="MB by which memory may grow after that.")
@click.option(
    "--patience", type=click.IntRange(1), default=120, show_default=True, help="Seconds that a request may take."
)
@click.option("--ctx-size", type=int, default=2048, show_default=True, help="The server's context in tokens.")
@click.option("--crowd", type=click.IntRange(0, 4000), default=0, help="Connections besides that ask nothing.")
@click.option("--url", help="Ask this server instead of starting one.")
@click.option("--pid", type=int, default=0, help="With --url: whose memory to look at.")
@click.argument("flags", nargs=-1)
def soak(
    requests: int,
    seconds: int | None,
    at_once: int,
    seed: int,
    warm_up: int,
    growth: int,
    patience: int,
    ctx_size: int,
    crowd: int,
    url: str | None,
    pid: int,
    flags: Sequence[str],
) -> None:
    """Drive a server with mixed requests, some of which are left, and look at every answer.

    Starts one with the demo model, 8 sequences and FLAGS (after --), unless there is a --url. Of a crowd one in
    nineteen sends a byte a second, and ten a second are killed. Everything must be answered completely or cleanly
    refused. In the end nothing may run, memory must be near where it was after the warm-up, and one request must get
    the whole context. Exits with 1 when any of this is not so.
    """
    plan = Plan(requests, seconds, at_once, seed, warm_up, growth * _MEGABYTE, patience, ctx_size, crowd)
    report = Report()
    try:
        asyncio.run(_soak(plan, report, url, pid, flags))
    except (SubjectFailed, Broken, OSError) as error:
        report.problems.insert(0, str(error) or repr(error))
    click.echo(_summary(plan, report))
    sys.exit(1 if report.problems else 0)


async def _soak(plan: Plan, report: Report, url: str | None, pid: int, flags: Sequence[str]) -> None:
    if url is not None:
        await try_out(running(url, pid), plan, report)
        return
    model = str(ROOT / "bundler" / "demo" / "demo.gguf")
    async with started(["-m", model, "-c", str(plan.n_ctx), "-np", "8", *flags]) as subject:
        await try_out(subject, plan, report)


def _summary(plan: Plan, report: Report) -> str:
    """A table of kinds and outcomes, and what was wrong."""
    results = report.results
    header = ["", *(outcome.value for outcome in Outcome), "slowest"]
    rows = [header]
    for kind, tally in sorted(results.tallies.items()):
        counts = [str(tally.outcomes[outcome] or "") for outcome in Outcome]
        rows.append([kind, *counts, f"{tally.slowest:.1f} s"])
    totals = [sum(tally.outcomes[outcome] for tally in results.tallies.values()) for outcome in Outcome]
    rows.append(["all", *map(str, totals), ""])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines.append(f"{results.asked} requests in {results.seconds:.0f} s, {plan.at_once} at once, seed {plan.seed}")
    lines.append(f"{report.sure} texts asked again and again")
    if report.memory:
        memory = " → ".join(f"{size / _MEGABYTE:.1f}" for size in report.memory)
        lines.append(f"memory after the warm-up, and in the end: {memory} MB")
    lines += [f"- {problem}" for problem in report.problems[:_SHOWN_PROBLEMS]]
    if len(report.problems) > _SHOWN_PROBLEMS:
        lines.append(f"and {len(report.problems) - _SHOWN_PROBLEMS} more problems")
    return "\n".join(lines)


if __name__ == "__main__":
    soak(prog_name="scripts/soak")
