#!/usr/bin/env bash
# Expected: how many tokens a request may ask for is for the server to say, whose address is `base_url`.
# Instead: Anthropic's client raises ValueError before it sends anything: beyond 21,333 tokens for any model, because
# it reckons with Anthropic's own speed; and beyond 8,192 where the model is called claude-opus-4-0 or one of some
# other names. With `stream=True`, or with a `timeout` of its own for the request, the same request is sent.
# It matters to whoever serves a model of his own under a name that programs know already: the name decides what can
# be asked, and no log of the server shows why nothing came.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install anthropic==2.13.0; } || exit 2

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import anthropic

asked = []


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked[-1]["model"],
            "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


print("anthropic", version("anthropic"))
server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.server_port}", api_key="none")


def is_sent(model: str, max_tokens: int, **more: float) -> bool:
    before, messages = len(asked), [{"role": "user", "content": "?"}]
    try:
        client.messages.create(model=model, max_tokens=max_tokens, messages=messages, **more)
        said = "answered"
    except ValueError as error:
        said = f"ValueError: {str(error).partition('.')[0]}"
    print(f"{model}, {max_tokens} tokens{', with a timeout' if more else ''}: {said}")
    return len(asked) > before


now = [is_sent("mine", 21_333), is_sent("mine", 21_334), is_sent("claude-opus-4-0", 8_192),
       is_sent("claude-opus-4-0", 8_193), is_sent("claude-opus-4-0", 8_193, timeout=60.0)]
if now != [True, False, True, False, True]:
    sys.exit(f"Changed: sent were {now}.")
print("Still so: what may be asked of a server depends on what its model is called.")
PYTHON
