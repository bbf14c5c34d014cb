"""What can go wrong with conversations. Apart from the templates, so that naming it does not import Jinja2.

LoafError
├── TemplateFailed      the template cannot be parsed, or refuses the conversation
├── ToolsUnsupported    what is asked of tools cannot be had
└── AnswerFormConflict  the answer is asked to have two forms at once
"""

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


class ToolsUnsupported(LoafError):
    """What is asked of tools cannot be had: `reason` says what is the matter."""

    def __init__(self, reason: str, hint: str = "Name a tool that is in the list of tools.") -> None:
        super().__init__(f"the tools cannot be used like this: {reason}", hint)
        self.reason = reason


class AnswerFormConflict(LoafError):
    """The answer is asked to follow two of `forms`, and no grammar can be both."""

    def __init__(self, *forms: str) -> None:
        super().__init__(f"the answer cannot follow {' and '.join(forms)} at once", "Ask for one of them.")
        self.forms = forms
