"""What can go wrong while a schema becomes a grammar.

LoafError
└── SchemaUnsupported    the schema is wrong, or says something that a grammar cannot hold a model to
"""

from __future__ import annotations

from runtime.errors import LoafError


class SchemaUnsupported(LoafError):
    """`path` is a JSON pointer (RFC 6901) into the schema, "" for all of it; `reason` says what is the matter there."""

    def __init__(
        self, path: str, reason: str, hint: str = "Leave this out of the schema, or say it otherwise."
    ) -> None:
        super().__init__(f"the JSON schema cannot be followed{f' at {path}' if path else ''}: {reason}", hint)
        self.path = path
        self.reason = reason


class Unsupported(Exception):
    """Raised where a place in the schema is not known, and turned into `SchemaUnsupported` where it is."""
