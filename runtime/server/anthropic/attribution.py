"""The line with which Claude Code begins its system prompts, for whom it bills.

It holds a version whose end is made of the first prompt, and a hash that is another with each request, so that nothing
behind it would ever be found computed. No model has a use for it. Knows this one form, at this one place.
"""

from __future__ import annotations

import re

_ATTRIBUTION = re.compile(r"x-anthropic-billing-header:(?:[ \t]*[\w.-]+=[^;\s]*;)+[ \t]*\n?", re.ASCII)
"""As in `x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;`. Text may follow at once."""


def without_attribution(system: str) -> str:
    """A system prompt without that line at its beginning, if it has it there."""
    found = _ATTRIBUTION.match(system)
    return system[found.end() :] if found else system
