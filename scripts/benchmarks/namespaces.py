"""Machines of their own, as far as one machine has them: network namespaces, each with its share of a processor.

Knows iproute2, and Linux's control groups of both versions. Refuses to know what runs in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_PERIOD = 10_000
"""Microseconds over which a share of a processor is counted: what has had its own waits for so long at most."""

_GROUPS = Path("/sys/fs/cgroup")


class NamespacesMissing(Exception):
    """This process may not make them, or the system has no tool for it; the message says which."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Reached at `address`; `inside` comes before a command that is to run there."""

    address: str
    inside: tuple[str, ...]


@contextmanager
def machines(count: int, *, processors: float, rate: str = "") -> Iterator[Sequence[Machine]]:
    """So many, each with so many `processors`, and behind a wire of `rate` as tc(8) writes it; "": as fast as it is.

    Raises NamespacesMissing.
    """
    if os.geteuid() != 0:
        raise NamespacesMissing("only root can make network namespaces")
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            raise NamespacesMissing(f"{tool} is not on PATH: apt-get install iproute2")
    with ExitStack() as stack:
        yield [stack.enter_context(_machine(number, processors, rate)) for number in range(count)]


@contextmanager
def _machine(number: int, processors: float, rate: str) -> Iterator[Machine]:
    name = f"loaf{os.getpid()}-{number}"
    ours, theirs = f"lb{os.getpid() % 100_000}o{number}", f"lb{os.getpid() % 100_000}i{number}"
    gateway, address = f"198.18.{number}.1", f"198.18.{number}.2"  # for measurements (RFC 2544)
    with _share_of_processors(name, processors) as group:
        _ip("netns", "add", name)
        try:
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
            _ip("addr", "add", f"{gateway}/30", "dev", ours)
            _ip("link", "set", ours, "up")
            _ip("-n", name, "addr", "add", f"{address}/30", "dev", theirs)
            _ip("-n", name, "link", "set", theirs, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            if rate:
                shaped = ("root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
                subprocess.run(["tc", "qdisc", "add", "dev", ours, *shaped], check=True)
                subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", theirs, *shaped], check=True)
            join = f'echo $$ >{group}/cgroup.procs && exec "$@"'  # first: inside there is another /sys
            yield Machine(address, ("sh", "-c", join, "sh", "ip", "netns", "exec", name))
        finally:
            subprocess.run(["ip", "link", "delete", ours], check=False)  # which the namespace would do later
            _ip("netns", "delete", name)


@contextmanager
def _share_of_processors(name: str, processors: float) -> Iterator[Path]:
    """A control group with so many of them. Raises NamespacesMissing."""
    quota = round(processors * _PERIOD)
    unified = (_GROUPS / "cgroup.controllers").exists()
    folder = (_GROUPS if unified else _GROUPS / "cpu") / name
    try:
        folder.mkdir()
        if unified:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (folder / "cpu.cfs_period_us").write_text(f"{_PERIOD}")
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}")
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        raise NamespacesMissing(f"no control group can be made: {error}") from error
    try:
        yield folder
    finally:
        folder.rmdir()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
