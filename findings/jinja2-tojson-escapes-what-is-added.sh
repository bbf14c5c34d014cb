#!/usr/bin/env bash
# Expected: with autoescape off, which is Jinja2's default and how chat templates are run, nothing is escaped, and `+`
# and `~` join texts alike.
# Instead: what `tojson` gives is marked as safe HTML. Whatever is joined to it by `+` is escaped, on either side, so
# that `<tool>` becomes `&lt;tool&gt;`; with `~` it is not. The JSON itself has \u003c for `<`, and its keys sorted.
# It matters to whoever renders a model's template with Jinja2 as it comes: the model is shown tags that it was never
# trained on, and an order of keys that nobody chose. transformers has a filter of its own under the same name.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install jinja2==3.1.6 markupsafe==3.0.4; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from jinja2.sandbox import ImmutableSandboxedEnvironment

print("jinja2", version("jinja2"), "with markupsafe", version("markupsafe"))
environment = ImmutableSandboxedEnvironment()
print("autoescape:", environment.autoescape)

TOOL = {"name": "add", "arguments": {"if": "a < b"}}
joined = {}
for operator in "~+":
    template = environment.from_string(f"{{{{ '<tool>' {operator} (tool | tojson) {operator} '</tool>' }}}}")
    joined[operator] = template.render(tool=TOOL)
    print(f"joined by {operator}:  {joined[operator]}")

JSON = r'{"arguments": {"if": "a \u003c b"}, "name": "add"}'
if joined["~"] != f"<tool>{JSON}</tool>":
    sys.exit("Changed: tojson neither escapes nor sorts any more.")
if joined["+"] != f"&lt;tool&gt;{JSON}&lt;/tool&gt;":
    sys.exit("Changed: + leaves what it joins as it is.")
print("Still so: + escapes what it joins to JSON, although autoescape is off.")
PYTHON
