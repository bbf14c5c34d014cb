"""Which devices this machine has: what drivers answered, each asked by a process of its own, once.

A driver that crashes or does not answer costs its process, and the launch `SECONDS` at most; more only where a device
was asked for. What one answered is remembered in the cache folder until the driver changes; what it did not answer is
asked again at the next launch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime import __version__
from runtime.backends import ASK_FOR_DEVICES
from runtime.backends.devices import Report
from runtime.backends.drivers import identity
from runtime.backends.libraries import why_no_driver_fits
from runtime.bundle import Backend
from runtime.machine.program import own_command

SECONDS = 2.0
PATIENT_SECONDS = 20.0
"""How long a driver has to answer: at any launch, and where somebody waits for nothing else."""

_FILE = "devices.json"
_MOST_BYTES = 1024 * 1024


class _Remembered(msgspec.Struct, frozen=True):
    """The reports, each with the identity of the driver that gave it."""

    reports: tuple[tuple[str, Report], ...] = ()


def detect(backends: Sequence[Backend], cache: Path, seconds: float = SECONDS) -> tuple[Report, ...]:
    """A report for each of `backends`, in order; drivers that have to be asked are, at the same time."""
    known = dict(_recall(cache).reports)
    keys = _keys(backends)
    unknown = [backend for backend in backends if keys[backend] not in known]
    if not unknown:
        return tuple(known[keys[backend]] for backend in backends)
    asked = dict(zip(unknown, ask(unknown, seconds), strict=True))
    reports = tuple(asked.get(backend) or known[keys[backend]] for backend in backends)
    _remember(cache, keys, reports)
    return reports


def detect_anew(backends: Sequence[Backend], cache: Path) -> tuple[Report, ...]:
    """The same, but every driver is asked, patiently; what is free is free now."""
    reports = ask(backends, PATIENT_SECONDS)
    _remember(cache, _keys(backends), reports)
    return reports


def ask(backends: Sequence[Backend], seconds: float) -> tuple[Report, ...]:
    """A report for each of `backends`, in order, from their drivers as they are now, all asked at the same time."""
    if problem := why_no_driver_fits():
        return tuple(Report(backend, problem=problem, answered=False) for backend in backends)
    try:
        questions = [_Question(backend, seconds) for backend in backends]
    except OSError as error:  # no more processes, for one
        problem = f"nothing can be started to ask its driver: {error.strerror}"
        return tuple(Report(backend, problem=problem, answered=False) for backend in backends)
    return tuple(question.answer() for question in questions)


class _Question:
    """A child process that asks one driver."""

    def __init__(self, backend: Backend, seconds: float) -> None:
        self._backend = backend
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._process = subprocess.Popen(
            [*own_command(), ASK_FOR_DEVICES, backend],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; and what a driver starts ends with it
        )

    def answer(self) -> Report:
        """What the child says, for which it has some seconds."""
        try:
            said, _ = self._process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._end()
            return self._failed(f"its driver did not answer within {self._seconds:g} seconds")
        try:
            return msgspec.json.decode(said.rstrip().rpartition(b"\n")[2], type=Report)
        except msgspec.DecodeError:
            return self._failed(f"its driver crashed ({_how(self._process.returncode)})")

    def _failed(self, clause: str) -> Report:
        problem = f"{clause} when it was asked for its devices"
        return Report(self._backend, problem=problem, answered=False)

    def _end(self) -> None:
        """A process that hangs in the kernel does not end now; it is left to the system."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=0.2)


def _how(code: int) -> str:
    named = {number.value: number.name for number in signal.Signals}
    return named.get(-code, f"signal {-code}") if code < 0 else f"exit code {code}"


def _keys(backends: Sequence[Backend]) -> dict[Backend, str]:
    return {backend: identity(backend, f"{__version__} {sys.executable}") for backend in backends}


def _recall(cache: Path) -> _Remembered:
    """What is remembered; nothing where it cannot be read."""
    try:
        with (cache / _FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        return _Remembered()


def _remember(cache: Path, keys: dict[Backend, str], reports: Sequence[Report]) -> None:
    """Those that are answers; all at once, and not at all where the cache cannot be written."""
    answers = tuple((keys[report.backend], report) for report in reports if report.answered)
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix=f".{_FILE}.", dir=cache)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Remembered(answers)))
        Path(name).replace(cache / _FILE)
