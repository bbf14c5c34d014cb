"""A batch from start to end: take up what is there, keep who answers busy, write down what is answered, sum up.

Ctrl-C and SIGTERM end it as they end any program, with everything kept that was answered; so does SIGKILL.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import msgspec

from runtime.batch.answering import Answering
from runtime.batch.errors import AnsweringStopped, LineRefused, RequestsFailed
from runtime.batch.progress import Failures, Meter, Tally
from runtime.batch.reading import LONGEST, Line, ReadAhead, count_lines, opened
from runtime.batch.requests import BatchRequest, parse_request
from runtime.batch.results import Results
from runtime.console.aside import Aside
from runtime.server.wire import Answered, Ask
from runtime.settings import BatchSettings


def run_batch(answering: Answering, batch: BatchSettings, stop: threading.Event) -> None:
    """Have what `batch` names answered, unless a signal has come: then `stop` is set.

    Raises `KeyboardInterrupt` where a signal ends it, `RequestsFailed`, and what reading, writing, `answering` do.
    """
    try:
        asyncio.run(_run(answering, batch, stop))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(answering: Answering, batch: BatchSettings, stop: threading.Event) -> None:
    _cancel_on_signals()
    if stop.is_set():
        raise asyncio.CancelledError
    aside = Aside()
    failures = Failures(aside)
    lines = ReadAhead(opened(batch.input))
    results = Results(batch.output)
    try:
        tally = Tally()
        async with answering(aside, failures) as answerer:
            total = await asyncio.to_thread(count_lines, batch.input) if aside.is_heard else None
            meter = Meter(answerer.tokens, tally, total)
            try:
                async with meter.shown(aside):
                    await _together(_Run(lines, results, answerer.ask, tally, failures), answerer.at_once)
            finally:
                print(meter.summary(str(batch.output)), file=sys.stderr)
    finally:
        results.close()
    if results.failed:
        raise RequestsFailed(results.failed, len(results), batch.output)


def _cancel_on_signals() -> None:
    """At the first signal; a second one ends the program as it would any other."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        task.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)


class _Run(msgspec.Struct):
    """What those who answer share. `seen` are the names that have been read."""

    lines: ReadAhead
    results: Results
    ask: Ask
    tally: Tally
    failures: Failures
    seen: set[str] = msgspec.field(default_factory=set)


async def _together(run: _Run, at_once: int) -> None:
    """So many at a time; what one of them raises ends all."""
    tasks = [asyncio.create_task(_answer_lines(run)) for _ in range(at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer_lines(run: _Run) -> None:
    while (line := await run.lines.next()) is not None:
        try:
            request = _request_of(line, run.seen)
        except LineRefused as refused:
            _tell(line, refused, run)
            continue
        if request.custom_id in run.results.done:
            run.tally.before += 1
            continue
        answered = await _answer(request, run.ask)
        run.results.add_answer(request.custom_id, answered.status, answered.body)
        if answered.status < 400:
            run.tally.answered += 1
        else:
            run.tally.failed += 1
            run.failures.say(request.custom_id, _message(answered))


def _message(answered: Answered) -> str:
    error = msgspec.json.decode(answered.body).get("error")
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _request_of(line: Line, seen: set[str]) -> BatchRequest:
    """Raises `LineRefused`, also where another line has had the same name: that one is answered."""
    if line.text is None:
        raise LineRefused("line_too_long", f"the line has more than {LONGEST:,} bytes")
    try:
        request = parse_request(line.text)
    except LineRefused as refused:
        if refused.custom_id is not None:
            _check_unique(refused.custom_id, seen)
        raise
    _check_unique(request.custom_id, seen)
    return request


def _check_unique(custom_id: str, seen: set[str]) -> None:
    if custom_id in seen:
        raise LineRefused("duplicate_custom_id", f"custom_id: must be its own, and another line is {custom_id!r}")
    seen.add(custom_id)


def _tell(line: Line, refused: LineRefused, run: _Run) -> None:
    name, results = refused.custom_id, run.results
    if name in results.done if name is not None else line.number in results.told:
        run.tally.before += 1
        return
    results.add_refusal(line.number, refused)
    run.tally.failed += 1
    run.failures.say(f"line {line.number:,}", refused.message)


async def _answer(request: BatchRequest, ask: Ask) -> Answered:
    """Asks again where it was too early to ask. Raises `AnsweringStopped`."""
    while True:
        answered = await ask(request.url, request.body)
        if answered.status != 503:
            return answered
        if answered.retry_after is None:
            raise AnsweringStopped(msgspec.json.decode(answered.body)["error"]["message"])
        await asyncio.sleep(answered.retry_after)
