"""Text that comes from a model, made harmless: a terminal takes control characters for orders.

They could hide what was said, write to the clipboard, or type for the user.
"""

from __future__ import annotations

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
_DROPPED = {code: None for code in _CONTROLS if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """`text` without control characters (Unicode's category Cc), but for line ends and tabs."""
    return text.translate(_DROPPED)
