"""`/props`: what llama-server's clients ask a server about itself before they use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from runtime import __version__
from runtime.media.given import SHOWN_AS
from runtime.server.generation_settings import default_settings
from runtime.server.json import json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.refusals import SwitchedOff
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.chat.prompt import PromptBuilder
    from runtime.explaining.report import Report


async def props(request: web.Request) -> web.Response:
    """Tell everything that is fixed while the server runs."""
    hosted = request.app[MODELS].find(request.query.get("model"))
    hosted.engine.described()
    prompts = await asyncio.to_thread(hosted.prompts)  # parses the template, once
    report = await asyncio.to_thread(_report, hosted)
    return json_response(_props(hosted, prompts, request.app[SETTINGS]) | {"loaf": msgspec.to_builtins(report)})


async def set_props(request: web.Request) -> web.Response:
    """Accept a change and make none: llama-server has no property that can be changed either."""
    if not request.app[SETTINGS].server.shows_props_changes:
        raise SwitchedOff("changes of /props", "--props")
    return json_response({"success": True})


def _report(hosted: HostedModel) -> Report:
    """What `--explain` says, of what runs: where it computes, with what, and why."""
    from runtime.explaining.launch import describe_running

    return describe_running(hosted.name, hosted.served.weights, hosted.settings, hosted.engine.described())


def _props(hosted: HostedModel, prompts: PromptBuilder, settings: Settings) -> dict[str, Any]:
    facts, generator = hosted.facts, hosted.engine.described().generator
    n_ctx, n_slots = (generator.n_ctx, generator.settings.n_slots) if generator else (facts.n_ctx_train, 0)
    return {
        "default_generation_settings": {
            "params": default_settings(settings.sampling, settings.max_tokens),
            "n_ctx": n_ctx,
        },
        "total_slots": n_slots,
        "model_alias": hosted.name,
        "model_path": f"{hosted.served.name}.gguf",  # its name only: where it lies is nobody's business
        "model_ftype": facts.quantization,
        "model_description": facts.description,
        "modalities": {"vision": hosted.sees, "video": False, "audio": hosted.hears},
        "media_marker": SHOWN_AS,
        "endpoint_slots": settings.server.shows_slots,
        "endpoint_props": settings.server.shows_props_changes,
        "endpoint_metrics": settings.server.shows_metrics,
        "ui": settings.server.serves_page,
        "ui_settings": {},
        "chat_template": prompts.template,
        "chat_template_caps": {
            "supports_string_content": True,
            "supports_typed_content": False,
            "supports_tools": prompts.takes_tools,
            "supports_tool_calls": prompts.takes_tools,
            "supports_parallel_tool_calls": prompts.takes_tools,
            "supports_system_role": True,
            "supports_preserve_reasoning": prompts.thinks,
            "supports_reasoning_effort": "reasoning_effort" in prompts.template,
            "supports_object_arguments": prompts.takes_tools,
        },
        "bos_token": facts.bos,
        "eos_token": facts.eos,
        "build_info": f"loaf-{__version__}",
        "is_sleeping": hosted.engine.is_asleep,
        "cors_proxy_enabled": False,
    }
