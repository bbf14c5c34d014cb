"""`/lora-adapters`: which there are, and how strongly each is applied."""

from __future__ import annotations

from aiohttp import web

from runtime.server.generating import LoraField, adapter_scales
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS

ScalesRequest = list[LoraField]


async def adapters(request: web.Request) -> web.Response:
    """The LoRA adapters, and how strongly each is applied."""
    engine = request.app[MODELS].find(request.query.get("model")).engine
    names = [adapter.name for adapter in engine.described().adapters]
    pairs = zip(names, engine.scales, strict=True)
    return json_response(
        [
            {"id": i, "path": name, "scale": scale, "task_name": "", "prompt_prefix": ""}
            for i, (name, scale) in enumerate(pairs)
        ]
    )


async def set_adapters(request: web.Request) -> web.Response:
    """Change how strongly adapters are applied to requests from now on; those that are not named are off."""
    engine = request.app[MODELS].find(request.query.get("model")).engine
    engine.described()
    engine.set_scales(adapter_scales(await decode(request, ScalesRequest), len(engine.scales), "scale"))
    return json_response({"success": True})
