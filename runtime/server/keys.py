"""What handlers find in the application, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from runtime.engine.backend import Model
from runtime.loading import ServedModel
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.chat.prompt import PromptBuilder


class Prompts:
    """The builder of prompts, made when the first conversation comes."""

    def __init__(self, system: str | None) -> None:
        self._system = system
        self._builder: PromptBuilder | None = None

    def builder(self, model: Model) -> PromptBuilder:
        """For `model`. Raises `TemplateFailed`."""
        if self._builder is None:
            from runtime.chat.prompt import PromptBuilder

            self._builder = PromptBuilder(model, self._system)
        return self._builder


SERVED = web.AppKey("served", ServedModel)
SETTINGS = web.AppKey("settings", Settings)
PROMPTS = web.AppKey("prompts", Prompts)
STARTED = web.AppKey("started", int)
"""When the server started, in seconds since the epoch: the `created` of its models."""
