"""What can be wrong with giving something up."""

from __future__ import annotations

from runtime.errors import LoafError


class CannotConfine(LoafError):
    """The kernel, or what the server is to do, does not allow it; `reason` says what is the matter."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"--sandbox cannot be had: {reason}", "Without the flag the server gives up as much as it can."
        )
        self.reason = reason
