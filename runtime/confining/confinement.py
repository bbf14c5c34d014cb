"""All of it: each thread that handles what clients send is confined to a few places, the whole process to fewer calls.

Refuses to know how the kernel is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from runtime.confining import landlock, seccomp
from runtime.confining.errors import CannotConfine
from runtime.confining.places import Places

InThread = Callable[[Callable[[], None]], "Future[None]"]
"""Who does something in a thread that runs already."""

IN_FORCE = (
    "Sandbox: no program is started and no connection opened; nothing is read but this file, the program and the "
    "system's libraries, nothing written but saved slots"
)


def check_possible(*, chats: bool, has_workers: bool, offloads: bool) -> None:
    """Raises `CannotConfine` where this kernel cannot do it, or the server does need more."""
    if chats:
        raise CannotConfine("a chat in the terminal saves to files of its own (--server)")
    if has_workers:
        raise CannotConfine("--rpc connects to workers again")
    if offloads:
        raise CannotConfine("drivers of GPUs open files when they like (--gpu disable)")
    if not landlock.version():
        raise CannotConfine("this kernel has no Landlock")


def confine(places: Places, running: Sequence[InThread]) -> None:
    """Confine this thread, those that it starts from now on, and the `running` ones; and the process. Not to be undone.

    Threads that run already and are not named, such as llama.cpp's that only compute, keep their rights over files.
    Raises `CannotConfine`.
    """

    def confine_one() -> None:
        landlock.confine_thread(places.readable, places.writable, places.removable)

    for in_thread in running:
        in_thread(confine_one).result()
    confine_one()
    seccomp.confine_process()
