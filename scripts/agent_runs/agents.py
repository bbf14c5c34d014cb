"""The agents: how each is told where its model is, and asked without a terminal. One entry, one agent.

Refuses to know how they are installed and judged. docs/clients.md has the same settings for people to copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL = "demo"
N_CTX = 200_000


@dataclass(frozen=True, slots=True)
class Agent:
    """`command` has what comes before the question, in the first turn and in later ones. `configure(home, url)` writes
    the files that it reads, and returns what its environment has besides. `page` is what people call it."""

    page: str
    package: str
    first: Sequence[str]
    later: Sequence[str]
    configure: Callable[[Path, str], dict[str, str]]

    @property
    def program(self) -> str:
        return self.first[0]


def _claude(home: Path, url: str) -> dict[str, str]:  # noqa: ARG001
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "none",
        "ANTHROPIC_MODEL": MODEL,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def _codex(home: Path, url: str) -> dict[str, str]:
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""model = "{MODEL}"
model_provider = "loaf"
model_context_window = {N_CTX}
check_for_update_on_startup = false

[model_providers.loaf]
name = "loaf"
base_url = "{url}/v1"
wire_api = "responses"

[analytics]
enabled = false
"""
    )
    return {"CODEX_HOME": str(folder)}


def _opencode(home: Path, url: str) -> dict[str, str]:
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "loaf",
        "options": {"baseURL": f"{url}/v1"},
        "models": {MODEL: {"name": MODEL, "limit": {"context": N_CTX, "output": 8192}}},
    }
    settings = {"model": f"loaf/{MODEL}", "provider": {"loaf": provider}, "autoupdate": False, "share": "disabled"}
    (folder / "opencode.json").write_text(json.dumps(settings))
    return {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }


def _qwen(home: Path, url: str) -> dict[str, str]:
    folder = home / ".qwen"
    folder.mkdir()
    settings = {
        "general": {"disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "security": {"auth": {"selectedType": "openai"}},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    no_proxy = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), ""
    )  # it asks 127.0.0.1 by them
    return {**no_proxy, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none", "OPENAI_MODEL": MODEL}


_CODEX_FLAGS = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
"""The folder of a run is empty and of its own; Codex's sandbox needs what containers do not allow."""

_CLAUDE = Agent("Claude Code", "@anthropic-ai/claude-code", ("claude", "-p"), ("claude", "--continue", "-p"), _claude)
_CODEX_LATER = ("codex", "exec", "resume", "--last", *_CODEX_FLAGS)
_CODEX = Agent("Codex", "@openai/codex", ("codex", "exec", *_CODEX_FLAGS), _CODEX_LATER, _codex)
_OPENCODE = Agent("opencode", "opencode-ai", ("opencode", "run"), ("opencode", "run", "--continue"), _opencode)
_QWEN_LATER = ("qwen", "--yolo", "--continue", "-p")
_QWEN = Agent("qwen-code", "@qwen-code/qwen-code", ("qwen", "--yolo", "-p"), _QWEN_LATER, _qwen)

AGENTS = {"claude": _CLAUDE, "codex": _CODEX, "opencode": _OPENCODE, "qwen": _QWEN}
