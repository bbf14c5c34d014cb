"""A batch whose lines have sounds: they are requests like others, and each sound is listened to once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.bundles import DEMO_GGUF, clean_environment
from support.hearing_projectors import CELLS_OF_HALF_A_MINUTE, ultravox
from support.pictures import base64_of
from support.places import ROOT
from support.sounds import wav


def line(name: str, data: bytes) -> str:
    parts = [{"type": "input_audio", "input_audio": {"data": base64_of(data)}}, {"type": "text", "text": "What is it?"}]
    body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 4, "temperature": 0}
    return json.dumps({"custom_id": name, "url": "/v1/chat/completions", "body": body})


def test_lines_with_sounds_are_answered(tmp_path: Path) -> None:
    projector = ultravox(tmp_path / "ultravox.gguf", 192)
    given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text("\n".join([line("a", wav(300)), line("b", wav(3000)), line("c", wav(300)), line("d", b"none")]))
    model = ["-m", str(DEMO_GGUF), "--mmproj", str(projector), "--ctx-size", "1024"]
    command = [sys.executable, "-m", "runtime", *model, "--batch", str(given), "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=60)
    results = {one["custom_id"]: one for one in map(json.loads, output.read_text().splitlines())}
    bodies = {name: (one["response"] or {}).get("body", {}) for name, one in results.items()}
    said = {name: bodies[name]["choices"][0]["message"]["content"] for name in "abc"}
    assert said["a"] == said["c"] != said["b"], done.stderr
    assert bodies["a"]["usage"]["prompt_tokens"] > CELLS_OF_HALF_A_MINUTE
    assert "no kind that is known" in json.dumps(results["d"])
