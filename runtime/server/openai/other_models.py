"""`/v1/models` in the forms of those who ask there and are no clients of OpenAI's API: Anthropic's, and Codex.

Both read from it how long a conversation may be, before they run into the end of the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from runtime.server.models import HostedModel

_CODEX_INSTRUCTIONS = """\
You are a coding agent in the user's terminal. Work on the task with the tools you are given until it is done: look at \
files before you change them, keep changes small, and check what you did. Then say in a few words what you did."""
"""Codex wants a system prompt with each model."""

_CODEX_OUTPUT_BYTES = 10_000
"""How much of a command's output Codex shows to a model that it knows nothing else of."""


def anthropic_list(models: Sequence[HostedModel], started: int) -> dict[str, Any]:
    """https://docs.anthropic.com/en/api/models-list, on one page. `started` in seconds since the epoch."""
    data = [anthropic_model(one, started) for one in models]
    return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


def anthropic_model(hosted: HostedModel, started: int) -> dict[str, Any]:
    """One of them. An answer may take all of the context that its prompt leaves."""
    return {
        "type": "model",
        "id": hosted.name,
        "display_name": hosted.name,
        "created_at": datetime.fromtimestamp(started, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "max_input_tokens": hosted.context_length,
        "max_tokens": hosted.context_length,
    }


def codex_list(models: Sequence[HostedModel]) -> dict[str, Any]:
    """Those that write text: `ModelsResponse` in codex-rs/protocol/src/openai_models.rs, with all of its fields."""
    able = [one for one in models if one.generates]
    return {"models": [_codex_model(one, priority) for priority, one in enumerate(able)]}


def _codex_model(hosted: HostedModel, priority: int) -> dict[str, Any]:
    return {
        "slug": hosted.name,
        "display_name": hosted.name,
        "description": hosted.facts.description,
        "default_reasoning_level": None,
        "supported_reasoning_levels": [],
        "shell_type": "shell_command",
        "visibility": "list",
        "minimal_client_version": [0, 0, 0],
        "supported_in_api": True,
        "priority": priority,
        "upgrade": None,
        "base_instructions": _CODEX_INSTRUCTIONS,
        "supports_reasoning_summaries": False,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": None,
        "truncation_policy": {"mode": "bytes", "limit": _CODEX_OUTPUT_BYTES},
        "supports_parallel_tool_calls": True,
        "context_window": hosted.context_length,
        "max_context_window": hosted.context_length,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": ["text"],
    }
