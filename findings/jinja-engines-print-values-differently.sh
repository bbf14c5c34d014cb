#!/usr/bin/env bash
# Expected: a chat template gives the same prompt wherever it is run; the engines are made to follow Python's Jinja2.
# Instead: they print values differently, without an error. llama.cpp's own engine prints nothing for a dictionary and
# runs the elements of a list together (`args | string` helps there); @huggingface/jinja prints `true` for a boolean,
# and `args ~ ''` is "[object Map]". `schema.items`, where a JSON schema has the type of an array's elements, is the
# dictionary's method of that name for Jinja2, and so never undefined; in JavaScript it is the schema's own key.
# It matters to whoever writes a template or serves one: tool calls with booleans, lists and objects are written so,
# and a template that was tried with transformers makes another prompt in llama.cpp and in a browser.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
{ python3 -m venv venv && venv/bin/pip -qq install jinja2==3.1.6 markupsafe==3.0.4; } || exit 2
# The second one is llama.cpp, compiled, with a binding for Node.js 20 or newer.
npm install --silent --ignore-scripts --no-audit --no-fund \
    @huggingface/jinja@0.5.11 @node-llama-cpp/linux-x64@3.22.1 || exit 2

cat >render.mjs <<'NODE'
import { createRequire } from "node:module";
import { Template } from "@huggingface/jinja";

const load = createRequire(import.meta.url);
const llama = load("./node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/llama-addon.node");
const [templates, values] = process.argv.slice(2).map((text) => JSON.parse(text));
console.log(JSON.stringify(templates.map((template) => [
    new Template(template).render(values),
    new llama.AddonJinjaRenderer(template).render(values),
])));
NODE

venv/bin/python - <<'PYTHON'
import json
import subprocess
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment

VALUES = {"flag": True, "args": {"city": "Oslo"}, "names": ["a", "b"],
          "schema": {"type": "array", "items": {"type": "string"}}}
# template: what Jinja2, @huggingface/jinja and llama.cpp make of it
SEEN = {
    "{{ flag }}": ("True", "true", "True"),
    "{{ names }}": ("['a', 'b']", '["a", "b"]', "ab"),
    "{{ args }}": ("{'city': 'Oslo'}", '{"city": "Oslo"}', ""),
    "{{ args ~ '' }}": ("{'city': 'Oslo'}", "[object Map]", "{'city': 'Oslo'}"),
    "{{ schema.items is mapping }}": ("False", "true", "False"),
}
print("jinja2 3.1.6, @huggingface/jinja 0.5.11, llama.cpp as in @node-llama-cpp/linux-x64 3.22.1")
command = ["node", "render.mjs", json.dumps(list(SEEN)), json.dumps(VALUES)]
others = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

changed = []
for (template, seen), other in zip(SEEN.items(), others):
    now = (ImmutableSandboxedEnvironment().from_string(template).render(VALUES), *other)
    print(f"{template:32} " + "".join(f"{text!r:24}" for text in now))
    if now != seen:
        changed.append(template)
if changed:
    sys.exit(f"Changed: {', '.join(changed)}")
print("Still so: three engines, three texts.")
PYTHON
