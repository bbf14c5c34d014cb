"""A limit to what one schema may cost, in time and in the size of its grammar.

A schema comes from a client, and the server does nothing else while it looks for the grammar. So whatever grows faster
than the schema itself counts what it does.
"""

from __future__ import annotations

from runtime.grammar.errors import SchemaUnsupported

_LIMIT = 600_000
"""Steps of about a microsecond. Schemas that people use take some thousands."""


class Work:
    """What has been done for one schema."""

    def __init__(self) -> None:
        self.spent = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has been enough."""
        return self.spent > _LIMIT

    def spend(self, steps: int) -> None:
        """Raises `SchemaUnsupported` when it has been enough."""
        self.spent += steps
        if self.is_spent:
            raise SchemaUnsupported(
                "",
                "it would take too long, or too large a grammar",
                "Use fewer or shorter patterns, values and counts.",
            )
