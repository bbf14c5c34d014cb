#!/usr/bin/env bash
# Expected: a stream of JSON objects, one a line, is read by Ollama's own client whatever text is in them. JSON allows
# U+2028, U+2029 and U+0085 in strings as they are, and only a line feed ends a line of such a stream.
# Instead: the client takes httpx's `iter_lines`, which breaks lines at all three as Python's `splitlines` does. It
# then parses half an object and raises JSONDecodeError in the middle of the answer. Without a stream, it reads it.
# It matters to whoever writes a server for these clients (escape the three, as in \u2028) and to whoever streams: a
# model that quotes a web page or a PDF says U+2028 sooner or later.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install ollama==0.6.3 httpx==0.28.1; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import ollama


class Server(BaseHTTPRequestHandler):
    """Answers each chat with the user's own words."""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        answer = {"model": "m", "message": {"role": "assistant", "content": said}, "done": True}
        body = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


print("ollama", version("ollama"), "with httpx", version("httpx"))
server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = ollama.Client(f"http://127.0.0.1:{server.server_port}")

broken = {}
for name, character in {"a letter": "x", "U+2028": "\u2028", "U+2029": "\u2029", "U+0085": "\u0085"}.items():
    messages = [{"role": "user", "content": f"one{character}two"}]
    whole = client.chat("m", messages).message.content == messages[0]["content"]
    try:
        broken[name] = "".join(part.message.content for part in client.chat("m", messages, stream=True))
    except json.JSONDecodeError as error:
        broken[name] = error
    print(f"{name}: whole, {'as sent' if whole else 'changed'}; streamed, {broken[name]!r}")
    if not whole:
        sys.exit("Changed: whole answers are read in another way.")

errors = [name for name, read in broken.items() if isinstance(read, json.JSONDecodeError)]
if errors != ["U+2028", "U+2029", "U+0085"]:
    sys.exit(f"Changed: streams break at {', '.join(errors) or 'none of them'}.")
print("Still so: three characters that JSON allows break a stream.")
PYTHON
