"""Many clients at once, each asking one question after another, and what became of each question."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from draw import Departure, Leaving, Question
from judge import Outcome, Wrong, judge
from subject import Subject
from sure import Sure
from wire import Broken, Connection, connect, patiently, request_bytes

_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the text that its answer must be where that is known."""

    question: Question
    sure: Sure | None = None


@dataclass(slots=True)
class Tally:
    """Of the questions of one kind: how many came to which end, and the longest time one took, in seconds."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    slowest: float = 0.0


@dataclass(slots=True)
class Results:
    """`problems` are told for people, with the number of the question."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def asked(self) -> int:
        return sum(tally.outcomes.total() for tally in self.tallies.values())

    def count(self, question: Question, outcome: Outcome, seconds: float) -> None:
        tally = self.tallies.setdefault(question.kind, Tally())
        tally.outcomes[outcome] += 1
        tally.slowest = max(tally.slowest, seconds)


class Load:
    """Asks `questions`, `at_once` of them at any time. Each must have come to its end within `patience` seconds."""

    def __init__(self, subject: Subject, questions: Iterator[Asked], at_once: int, patience: int) -> None:
        self._subject = subject
        self._questions = questions
        self._at_once = at_once
        self._patience = patience
        self.results = Results()

    async def run(self) -> Results:
        """Until there are no more questions, or too many problems. Raises `SubjectFailed` when the server ends."""
        began = time.monotonic()
        clients = [asyncio.create_task(self._client()) for _ in range(self._at_once)]
        try:
            await asyncio.gather(*clients)
        finally:
            for client in clients:
                client.cancel()
            self.results.seconds = time.monotonic() - began
        return self.results

    async def _client(self) -> None:
        connection: Connection | None = None
        for asked in self._questions:
            question = asked.question
            if len(self.results.problems) >= _MOST_PROBLEMS:
                break
            began = time.monotonic()
            outcome = Outcome.FAILED
            try:
                connection = await self._connected(connection)
                outcome = await patiently(_exchange(connection, question, asked.sure), self._patience)
            except asyncio.TimeoutError:
                self._complain(question, f"no end of it after {self._patience} seconds")
            except (Broken, Wrong, OSError) as error:
                self._subject.check_alive()
                self._complain(question, str(error) or repr(error))
            if outcome is Outcome.FAILED and connection is not None:
                connection.close(reset=True)
            self.results.count(question, outcome, time.monotonic() - began)
        if connection is not None:
            connection.close()

    async def _connected(self, connection: Connection | None) -> Connection:
        """The connection that the client has, or another one where the server has not kept it."""
        if connection is None or connection.closed:
            return await connect(self._subject.address)
        return connection

    def _complain(self, question: Question, complaint: str) -> None:
        self.results.problems.append(
            f"question {question.number} ({question.kind}, {question.path}): {complaint}\n"
            f"    {question.body[:300].decode(errors='replace')}"
        )


async def _exchange(connection: Connection, question: Question, sure: Sure | None) -> Outcome:
    """Ask, and read the answer or leave. Raises `Broken`, `Wrong`, OSError."""
    data = request_bytes(question.method, question.path, question.body)
    departure = question.departure
    if departure.when is Leaving.NEVER or departure.when is Leaving.AFTER_IT:
        await connection.send(data)
        reply = await connection.reply()
        outcome = judge(question.expected, reply)
        if sure is not None and not sure.same(reply):
            raise Wrong(f"not as it was, {sure.text!r}: {reply.body[:300]!r}")
        if departure.when is Leaving.AFTER_IT:
            connection.close(reset=departure.reset)
        return outcome
    try:
        if departure.when is Leaving.IN_THE_REQUEST:
            await connection.send(data[: len(data) // 2])
        else:
            await connection.send(data)
            if departure.when is Leaving.IN_THE_ANSWER:
                await _read_a_little(connection, departure)
        await asyncio.sleep(departure.pause)
    finally:
        connection.close(reset=departure.reset)
    return Outcome.LEFT


async def _read_a_little(connection: Connection, departure: Departure) -> None:
    """The first pieces of an answer, as far as it has so many."""
    head = await connection.head()
    if head.status >= 500 and head.status != 503:
        raise Wrong(f"status {head.status}: {(await connection.body(head))[:300]!r}")
    if head.length is not None:
        return
    for _ in range(departure.pieces):
        if not await connection.piece():
            return
