"""Files of `--batch`: lines that ask for something, and the results that came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def chat(name: str, text: str = "Who was the first man on the moon?", **more: Any) -> dict[str, Any]:
    """A line that asks for a short answer, always the same."""
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 4, "temperature": 0, **more}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def write_lines(path: Path, *lines: Any) -> Path:
    """Each as JSON, or as it is where it is bytes."""
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def results_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
