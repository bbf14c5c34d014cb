"""The root of every error that loaf raises on purpose.

    LoafError                 something a person can act on
    ├── runtime.bundle.BundleError       the file we were launched from
    ├── runtime.cli.arguments.BadArguments   the default arguments in it
    ├── runtime.engine.errors.*          model, context, request
    └── bundler.errors.*                 building, inspecting, verifying

Knows how a message and a hint become text, and what of others' text may stand in one line. Refuses to know exit codes
(`exits.py` maps them) and HTTP status codes (`server/errors.py` maps them).
"""

from __future__ import annotations


def escaped(text: str, kept: str = "") -> str:
    """`text` that comes from a file, as it may be shown in one line: what could steer a terminal, and line ends, become
    escapes. So does all that is not to be seen (Unicode's Other and Separator, but for the space), unless it is `kept`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


class LoafError(Exception):
    """Something went wrong that a person can act on.

    `message` says what happened and to which thing; `hint` says what to do about it (may be empty).
    Subclasses take typed fields and build both in their `__init__`.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message
