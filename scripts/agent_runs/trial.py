"""One agent's session against one server, in folders of its own, and what is to be said of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents import Agent
from recorder import Exchange
from scripted import QUESTION

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TERM")
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody is: what is asked beyond this machine fails at once."""


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
        home, self.project = folder / "home", folder / "project"
        home.mkdir(parents=True)
        self.project.mkdir()
        self._agent, self._programs, self._patience = agent, programs, patience
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
        local = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        self._environment = {**kept, **proxies, **local, "HOME": str(home), **agent.configure(home, url)}

    async def version(self) -> str:
        return (await self._run(["--version"], self._agent.program))[1].strip().splitlines()[-1]

    async def ask(self, question: str, *, is_first: bool) -> tuple[int | None, str]:
        """(exit status, None for one who was ended for taking too long; all that it printed)."""
        program, *flags = self._agent.first if is_first else self._agent.later
        return await self._run([*flags, question], program)

    async def _run(self, arguments: Sequence[str], program: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            self._programs / program,
            *arguments,
            cwd=self.project,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), self._patience)
        except asyncio.TimeoutError:
            return None, ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has left running
            await process.wait()
        return process.returncode, said.decode("utf-8", "replace")


async def three_turns(session: Session, result: Result) -> None:
    """Each turn has the agent read another file. Fills in `result`, whose `seen` the recorder fills."""
    for turn in range(3):
        word = f"word-{secrets.token_hex(4)}"
        file = session.project / f"file-{turn}.txt"
        file.write_text(f"{word}\n")
        before = len(result.seen)
        code, said = await session.ask(QUESTION.format(path=file), is_first=turn == 0)
        held = sum(word.encode() in exchange.body for exchange in result.seen[before:])
        if code != 0 or word not in said or not held:
            result.problems.append(f"turn {turn + 1} ended with {code}: {said.strip()[-1500:]}")
            break
        result.turns += 1
    result.problems += refusals(result.seen)


async def one_question(session: Session, result: Result) -> None:
    """Whatever the model says: everything must be answered 2xx."""
    await session.ask("Say hello.", is_first=True)
    if not any(exchange.method == "POST" for exchange in result.seen):
        result.problems.append("nothing was asked")
    result.problems += refusals(result.seen)


def refusals(seen: Sequence[Exchange]) -> list[str]:
    """What was not answered 2xx, and the errors within streams."""
    problems = []
    for one in seen:
        said = one.said.decode("utf-8", "replace")
        if one.status and not 200 <= one.status < 300:
            problems.append(f"{one.method} {one.path} was answered {one.status}: {said[:500]}")
        elif "event: error" in said or 'data: {"error"' in said:
            problems.append(f"{one.method} {one.path} ended with an error: {said[-500:]}")
    return problems
