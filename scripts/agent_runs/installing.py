"""The agents' programs, at pinned versions, from the npm registry into the build cache.

Refuses to know how they are set up and asked (`agents.py`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from bundler.store.cache import cached, key_of

PACKAGES = {
    "@anthropic-ai/claude-code": "2.1.332",
    "@openai/codex": "0.171.0",
    "opencode-ai": "1.18.33",
    "@qwen-code/qwen-code": "0.15.10",  # later ones want Node 22
}
"""The pinned versions. Move them, run `scripts/agents`, and write what it prints into docs/clients.md."""

_BYTES = 2_000_000_000


class NotInstalled(Exception):
    """npm cannot install a package; the message is npm's."""


def installed(package: str) -> Path:
    """The folder `node_modules/.bin` of an installation of `package`. Raises `NotInstalled`."""
    version = PACKAGES[package]
    return cached("agents", key_of(package=package, version=version), _install(package, version), needs=_BYTES) / _BIN


_BIN = Path("node_modules") / ".bin"


def _install(package: str, version: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": {package: version}}))
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalled(f"{package} {version}: {done.stderr.strip()[-2000:]}")

    return make
