#!/usr/bin/env bash
# Expected: from {"type": "string", "pattern": "yes|no"} comes a regular expression for the JSON texts "yes" and "no",
# and (as JSON Schema has it) for every string with one of them in it.
# Instead: the pattern is put between two quotation marks as it stands, so that each alternative has one of them: the
# result matches `"yes` and `no"`, which are no JSON, and neither of the strings that were meant. Of patterns without
# alternatives, the whole string has to match: `b` does not allow "abc". With `^` but no `$`, nothing matches at all.
# It matters to whoever holds a model to a schema by it: the answer cannot be parsed, however good the model is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install outlines_core==0.2.14; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import json
import re
import sys
from importlib.metadata import version

from outlines_core.json_schema import build_regex_from_schema

print("outlines_core", version("outlines_core"))

# a pattern, and texts with whether they are allowed
SEEN = {
    "yes|no": {'"yes"': False, '"no"': False, '"yes': True, 'no"': True},
    "^yes|no$": {'"yes"': False, '"no"': False, '"yes': True, 'no"': True},
    "^(yes|no)$": {'"yes"': True, '"no"': True, '"yes': False},
    "b": {'"b"': True, '"abc"': False},
    "^b": {'"b"': False, '"bc"': False},
}
changed = []
for pattern, seen in SEEN.items():
    expression = build_regex_from_schema(json.dumps({"type": "string", "pattern": pattern}))
    now = {text: re.fullmatch(expression, text) is not None for text in seen}
    allowed = [text for text, is_allowed in now.items() if is_allowed]
    print(f"{pattern:11} becomes {expression}; of {' | '.join(now)} it allows {' | '.join(allowed) or 'none'}")
    if now != seen:
        changed.append(pattern)
if changed:
    sys.exit(f"Changed: {', '.join(changed)}")
print("Still so: alternatives lose one of their quotation marks each.")
PYTHON
