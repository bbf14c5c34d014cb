"""What can go wrong with conversations. Apart from the templates, so that naming it does not import Jinja2."""

from __future__ import annotations

from runtime.errors import LoafError


class TemplateFailed(LoafError):
    """The template cannot be parsed, or refuses the conversation; `reason` is its own."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model's chat template says: {reason}",
            "It may expect other roles, or no tools.",
        )
        self.reason = reason
