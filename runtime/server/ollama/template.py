"""The `template` of a generate request, in the part of Go's template language that prompts are written in.

`{{ .System }}`, `{{ .Prompt }}`, `{{ .Response }}`, `{{ if .System }} … {{ else }} … {{ end }}`, and `{{-` and `-}}`,
which take the whitespace before or behind. What comes after `.Response` is not part of the prompt. Others, with ranges
over messages, are refused: chat has the model's own template for those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.server.refusals import BadRequest

_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_NAMES = ("System", "Prompt", "Response")


def render(template: str, values: Mapping[str, str]) -> str:
    """The prompt. `values` of `System` and `Prompt`, "" for none. Raises `BadRequest`."""
    out: list[str] = []
    shown = [True]
    """For each `if` around, whether its branch is taken, and the whole template's `True`."""
    place, trims = 0, False
    for action in _ACTION.finditer(template):
        text = template[place : action.start()]
        text = text.lstrip() if trims else text
        out.append((text.rstrip() if action[1] else text) if all(shown) else "")
        place, trims = action.end(), bool(action[3])
        words = action[2].split()
        if words == [".Response"] and all(shown):
            return "".join(out)
        if len(words) == 1 and words[0][1:] in _NAMES and words[0][0] == ".":
            out.append(values.get(words[0][1:], "") if all(shown) else "")
        elif len(words) == 2 and words[0] == "if" and words[1][0] == "." and words[1][1:] in _NAMES:
            shown.append(bool(values.get(words[1][1:])))
        elif words == ["else"] and len(shown) > 1:
            shown[-1] = not shown[-1]
        elif words == ["end"] and len(shown) > 1:
            shown.pop()
        elif not action[2].startswith("/*"):
            raise BadRequest(
                f"template: {{{{ {action[2][:80]} }}}} is not understood here",
                "template",
                "Use .System, .Prompt, .Response, if, else and end.",
            )
    if len(shown) > 1:
        raise BadRequest("template: an {{ if }} has no {{ end }}", "template", "End it.")
    rest = template[place:]
    return "".join([*out, rest.lstrip() if trims else rest])
