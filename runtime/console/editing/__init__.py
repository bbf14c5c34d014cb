"""Typing: `editor`, and here prompt_toolkit, half of which is enough for it: the rest is left out of bundles.

Vi's keys, frames, dialogs and HTML are neither imported nor frozen (templates/runtime.spec); what imports them finds
nothing there.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from runtime.machine.lean import enter_package


def _enter() -> None:
    if "prompt_toolkit" in sys.modules:
        return
    enter_package("prompt_toolkit", __version__="")
    enter_package("prompt_toolkit.shortcuts")
    _stand_in("prompt_toolkit.formatted_text.html", HTML=None, html_escape=None)
    _stand_in("prompt_toolkit.key_binding.bindings.vi", load_vi_bindings=_none, load_vi_search_bindings=_none)
    _stand_in("prompt_toolkit.lexers.pygments", PygmentsLexer=None, RegexSync=None, SyncFromStart=None, SyntaxSync=None)
    _stand_in("prompt_toolkit.layout.scrollable_pane", ScrollablePane=None)
    vars(enter_package("prompt_toolkit.widgets")).update(Frame=_unframed)
    importlib.import_module("prompt_toolkit.application")  # its modules import each other; the package begins here


def _none() -> Any:
    """No keys."""
    from prompt_toolkit.key_binding.key_bindings import KeyBindings

    return KeyBindings()


def _unframed(body: Any) -> Any:
    """What would be in a frame."""
    return body


def _stand_in(name: str, **attributes: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


_enter()
