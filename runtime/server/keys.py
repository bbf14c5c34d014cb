"""What handlers find in the application, typed."""

from __future__ import annotations

from aiohttp import web

from runtime.server.models import Models
from runtime.server.readiness import Readiness
from runtime.server.renewing import Renewable
from runtime.server.sleeping import Sleepers
from runtime.settings import Settings

MODELS = web.AppKey("models", Models)
SETTINGS = web.AppKey("settings", Settings)
READINESS = web.AppKey("readiness", Readiness)
RENEWABLE = web.AppKey("renewable", Renewable)
SLEEPERS = web.AppKey("sleepers", Sleepers)
STARTED = web.AppKey("started", int)
"""When the server started, in seconds since the epoch: the `created` of its models."""
PING_SECONDS = web.AppKey("ping_seconds", float)
"""How long a stream says nothing at most, where its form has a way of saying that nothing has come yet."""
