"""What of it can be had by a server that is to do this and that here: a plan, and what carries it out.

Refuses to know how the kernel is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from runtime.confining import landlock
from runtime.confining.errors import CannotConfine
from runtime.confining.places import Places
from runtime.confining.seccomp import Allowed, confine_process, is_known_here


class Needs(msgspec.Struct, frozen=True):
    """What a server goes on to do that most do not.

    It chats in the terminal, has workers, has weights on GPUs, fetches what requests name, tells a supervisor.
    """

    chats: bool = False
    has_workers: bool = False
    offloads: bool = False
    fetches: bool = False
    is_supervised: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`files` and connections of each thread are confined (Landlock), `calls` of the process, but those `allowed`.

    `left_out` are the reasons for what is not: none where all can be had.
    """

    files: bool = True
    calls: bool = True
    allowed: Allowed = Allowed()
    left_out: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """In words: what is in force, and why not the rest."""
        if parts := list(self._parts()):
            yield f"Sandbox: {'; '.join(parts)}"
        for reason in self.left_out:
            yield f"Sandbox: {'not all of it can be had' if parts else 'there is none'}, {reason}"

    def _parts(self) -> Iterator[str]:
        if self.calls and self.allowed.starts:
            yield "no other process is looked into, nothing is mounted, and the like"
        elif self.calls and self.allowed.connects:
            yield "no program is started"
        elif self.calls:
            yield "no program is started and no connection opened"
        if self.files:
            yield (
                "nothing is read but this file, the program, the system's libraries and what flags name, nothing "
                "written but what flags name"
            )


OFF = Plan(files=False, calls=False, left_out=("--no-sandbox says so",))


def plan(needs: Needs, *, wanted: bool | None) -> Plan:
    """What such a server gives up with this kernel: all, where it is `wanted`, else as much as can be had, or nothing.

    Raises `CannotConfine`.
    """
    if wanted is False:
        return OFF
    found = _possible(needs)
    if wanted and found.left_out:
        raise CannotConfine(found.left_out[0])
    return found


def _possible(needs: Needs) -> Plan:
    reasons = []
    if needs.chats:
        reasons.append("a chat in the terminal reads and saves files of its own (--server)")
    if needs.has_workers:
        reasons.append("--rpc connects to workers again, by beginning anew")
    if needs.offloads:
        reasons.append("drivers of GPUs open files when they like (--gpu disable)")
    files = not reasons
    if files and not landlock.version():
        files = False
        reasons.append("this kernel has no Landlock")
    calls = is_known_here()
    if not calls:
        reasons.append("it is not known which calls this processor's kernel has")
    allowed = Allowed(starts=needs.has_workers, connects=needs.has_workers or needs.fetches, tells=needs.is_supervised)
    return Plan(files, calls, allowed, tuple(reasons))


def confine_thread(plan: Plan, places: Places) -> None:
    """This thread, and those that it starts from now on. Not to be undone. Raises `CannotConfine`.

    Threads that run already, such as llama.cpp's that only compute, keep their rights over files.
    """
    if plan.files:
        landlock.confine_thread(places, connects=plan.allowed.connects)


def confine_calls(plan: Plan) -> None:
    """All threads of the process. Not to be undone. Raises `CannotConfine`."""
    if plan.calls:
        confine_process(plan.allowed)
