"""The root of every error that loaf raises on purpose.

    LoafError                 something a person can act on
    ├── runtime.bundle.BundleError       the file we were launched from
    ├── runtime.cli.arguments.BadArguments   the default arguments in it
    ├── runtime.engine.errors.*          model, context, request
    └── bundler.errors.*                 building, inspecting, verifying

Knows how a message and a hint become text. Refuses to know exit codes (`exits.py` maps them) and
HTTP status codes (`server/errors.py` maps them).
"""

from __future__ import annotations


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
