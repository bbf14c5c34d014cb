"""One agent's session against one server, in folders of its own, and what is to be said of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents import Agent
from belonging import end_all, resident_bytes
from exchanges import Exchange
from scripted import QUESTION

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TERM")
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody is: what is asked beyond this machine fails at once."""

_LOOKS_EVERY = 0.5
"""Seconds between looks at how much memory it takes."""

_MOST_MEMORY = 4_000_000_000
"""Bytes that an agent may take with all that it has started: one of them once took 23 GB."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its status, all that it printed, and why it was ended, "" for one that ended by itself."""

    status: int
    said: str
    ended_by: str


@dataclass
class Result:
    """`turns` that ended with the word of their file; `problems` in words, none where all is well."""

    name: str
    version: str
    turns: int = 0
    seen: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Session:
    """An agent in a home and a project of its own, below `folder`; its model is at `url`."""

    def __init__(self, agent: Agent, programs: Path, folder: Path, url: str, patience: int) -> None:
        self._home, self.project = folder / "home", folder / "project"
        self._home.mkdir(parents=True)
        self.project.mkdir()
        self._agent, self._programs, self._patience = agent, programs, patience
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
        local = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        self._environment = {**kept, **proxies, **local, "HOME": str(self._home), **agent.configure(self._home, url)}

    async def version(self) -> str:
        said = (await self._run([self._agent.program, "--version"])).said.strip()
        return said.splitlines()[-1] if said else "unknown"

    async def ask(self, question: str, *, is_first: bool) -> Ended:
        return await self._run([*(self._agent.first if is_first else self._agent.later), question])

    async def _run(self, command: Sequence[str]) -> Ended:
        """Within the time and the memory that an agent is given; nothing that it has started is left behind."""
        with tempfile.TemporaryFile() as output:  # not a pipe, which those that it leaves running would hold open
            process = await asyncio.create_subprocess_exec(
                self._programs / command[0],
                *command[1:],
                cwd=self.project,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            ended_by = ""
            try:
                ended_by = await self._wait(process)
            finally:
                end_all(self._home)
                await process.wait()
            output.seek(0)
            return Ended(process.returncode or 0, output.read().decode("utf-8", "replace"), ended_by)

    async def _wait(self, process: Process) -> str:
        """Until it has ended: by itself, or for the reason that is returned."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), _LOOKS_EVERY)
                return ""
            if (taken := resident_bytes(self._home)) > _MOST_MEMORY:
                return f"it took {taken / 1e9:.1f} GB of memory"
        return f"it took more than {self._patience} seconds"


async def three_turns(session: Session, result: Result) -> None:
    """Each turn has the agent read another file. Fills in `result`, whose `seen` the recorder fills."""
    for turn in range(3):
        word = f"word-{secrets.token_hex(4)}"
        file = session.project / f"file-{turn}.txt"
        file.write_text(f"{word}\n")
        before = len(result.seen)
        ended = await session.ask(QUESTION.format(path=file), is_first=turn == 0)
        held = sum(word.encode() in exchange.body for exchange in result.seen[before:])
        if ended.status != 0 or ended.ended_by or word not in ended.said or not held:
            how = ended.ended_by or f"status {ended.status}"
            result.problems.append(f"turn {turn + 1} ended ({how}): {ended.said.strip()[-1500:]}")
            break
        result.turns += 1
    result.problems += refusals(result.seen)


async def one_question(session: Session, result: Result) -> None:
    """Whatever the model says, and however long: everything must be answered 2xx until the agent ends, or is ended."""
    ended = await session.ask("Say hello.", is_first=True)
    if not any(exchange.method == "POST" for exchange in result.seen):
        result.problems.append(f"nothing was asked: {ended.said.strip()[-1500:]}")
    result.problems += refusals(result.seen, were_ended=bool(ended.ended_by))


def refusals(seen: Sequence[Exchange], *, were_ended: bool = False) -> list[str]:
    """What was not answered 2xx, or not at all, and the errors within streams.

    `were_ended`: those who asked were, so what they still waited for is no refusal.
    """
    problems = []
    for one in seen:
        said = one.said.decode("utf-8", "replace")
        if one.status == 0 and not (were_ended and one.was_left):
            who = "whoever asked gave up" if one.was_left else "nothing came"
            problems.append(f"{one.method} {one.path} was not answered: {who}")
        elif one.status and not 200 <= one.status < 300:
            problems.append(f"{one.method} {one.path} was answered {one.status}: {said[:500]}")
        elif "event: error" in said or 'data: {"error"' in said:
            problems.append(f"{one.method} {one.path} ended with an error: {said[-500:]}")
    return problems
