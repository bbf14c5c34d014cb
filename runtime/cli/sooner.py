"""What the packages that the program starts with import, and nobody needs before something rare happens.

Run before they are imported. What each of them has to be imported for is said beside it.
"""

from __future__ import annotations

import typing
from importlib import import_module

from runtime.machine.lean import StandIn, standing_in

_OF_TYPING = ("NotRequired", "Required", "get_type_hints")


def begin_lean() -> None:
    """Once, first of all: what has been imported stays."""
    with standing_in(
        StandIn("ast", NodeVisitor=object),  # inspect: to read signatures, and find classes in sources
        StandIn("linecache"),  # inspect, traceback: to show a line of source, and a bundle has none
        StandIn("tokenize"),  # inspect: to find the end of a function's source
        StandIn("shutil"),  # zipfile, tempfile: to unpack archives, and remove folders
        # msgspec: all that they take of it is Python's own by now
        StandIn("typing_extensions", **{name: vars(typing)[name] for name in _OF_TYPING if name in vars(typing)}),
    ):
        for name in ("inspect", "traceback", "tempfile", "zipfile", "msgspec"):
            import_module(name)


def leave_tls_out() -> None:
    """Where nothing is served with TLS, asyncio does without OpenSSL; whoever fetches something still has it."""
    with standing_in(StandIn("asyncio.sslproto"), StandIn("linecache"), without=["ssl"]):
        import_module("asyncio")
