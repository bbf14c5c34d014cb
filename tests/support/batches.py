"""Files of `--batch`: lines that ask for something, and the results that came of them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from support.bundles import clean_environment


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


def batch_process(bundle: Path, cache: Path, given: Path, out: Path, *flags: str) -> subprocess.Popen[bytes]:
    """The batch as a process, of which standard error can be read."""
    command = [str(bundle), "--batch", str(given), "-o", str(out), *flags]
    return subprocess.Popen(command, env=clean_environment(cache), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_size(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many bytes of results are there, or the process has ended."""
    while process.poll() is None and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.002)


def results_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
