"""`/metrics`: the engine's numbers in Prometheus' text format.

Names that begin with `llamacpp:` are llama-server's, for dashboards that know them; `loaf_` are ours. Where the file
has one model they have no labels, as llama-server's have none; else each has the model's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from runtime.engine.stats import EngineStats
from runtime.server.keys import MODELS, SETTINGS, STARTED
from runtime.server.refusals import SwitchedOff

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Reading(msgspec.Struct, frozen=True):
    """One number of one engine. `counts`: it only grows."""

    name: str
    help: str
    value: float
    counts: bool = True


class ModelStats(msgspec.Struct, frozen=True):
    """A model's name, and its engine's numbers."""

    name: str
    stats: EngineStats


async def metrics(request: web.Request) -> web.Response:
    """How much has been computed, and how busy the engines are."""
    if not request.app[SETTINGS].server.shows_metrics:
        raise SwitchedOff("/metrics", "--metrics")
    all_stats = [ModelStats(hosted.name, hosted.engine.stats()) for hosted in request.app[MODELS].all]
    body = await asyncio.to_thread(metrics_text, all_stats)
    headers = {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Process-Start-Time-Unix": str(request.app[STARTED]),
    }
    return web.Response(body=body, headers=headers)


def metrics_text(all_stats: Sequence[ModelStats]) -> bytes:
    """The text that Prometheus reads. Imports `prometheus_client`, which takes a while the first time."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(all_stats))
    return generate_latest(registry)


def readings(stats: EngineStats) -> tuple[Reading, ...]:
    """Everything that one engine has to tell, llama-server's names first (server-task.cpp: `to_metrics`)."""
    counted = stats.counters
    return (
        Reading("llamacpp:prompt_tokens", "Prompt tokens computed, without cached ones", counted.prompt_tokens),
        Reading("llamacpp:prompt_tokens_cached", "Prompt tokens that were cached", counted.cached_tokens),
        Reading("llamacpp:prompt_seconds", "Seconds from admission to the first token", counted.prompt_seconds),
        Reading("llamacpp:tokens_predicted", "Tokens generated", counted.generated_tokens),
        Reading("llamacpp:tokens_predicted_seconds", "Seconds of generating", counted.generation_seconds),
        Reading("llamacpp:n_decode", "Batches computed", counted.batches),
        Reading("llamacpp:spec_decode_num_draft_tokens", "Tokens guessed", counted.drafted_tokens),
        Reading("llamacpp:spec_decode_num_accepted_tokens", "Tokens guessed right", counted.accepted_tokens),
        Reading("llamacpp:spec_decode_num_drafts", "Times that anything was guessed", counted.drafts),
        _now(
            "llamacpp:prompt_tokens_seconds",
            "Prompt tokens computed in a second, on average since the start",
            _rate(counted.prompt_tokens, counted.prompt_seconds),
        ),
        _now(
            "llamacpp:predicted_tokens_seconds",
            "Tokens generated in a second of a request, on average since the start",
            _rate(counted.generated_tokens, counted.generation_seconds),
        ),
        _now("llamacpp:n_tokens_max", "Tokens of the longest sequence so far", counted.most_tokens),
        _now("llamacpp:requests_processing", "Requests that run", stats.running),
        _now("llamacpp:requests_deferred", "Requests that wait", stats.deferred),
        _now(
            "llamacpp:n_busy_slots_per_decode",
            "Sequences in a batch, on average since the start",
            _rate(counted.busy_slots, counted.batches),
        ),
        Reading("loaf_requests", "Generations that have ended", counted.requests),
        Reading("loaf_prefix_hits", "Generations whose prompt's beginning was cached", counted.prefix_hits),
        Reading("loaf_embedded_texts", "Texts turned into vectors or scores", counted.embedded_texts),
        Reading("loaf_embedded_tokens", "Tokens of those", counted.embedded_tokens),
        _now("loaf_threads", "Threads that compute: fewer while others need the processors", stats.n_threads),
        _now("loaf_slots", "KV sequences: how many requests can run", len(stats.slots)),
        _now("loaf_kv_cells", "Tokens that the KV pool has room for", stats.cells),
        _now("loaf_kv_cells_used", "Tokens that it holds", stats.cells_used),
    )


def _now(name: str, help: str, value: float) -> Reading:
    return Reading(name, help, value, counts=False)


def _rate(amount: float, over: float) -> float:
    return amount / over if over else 0.0


class _Collector:
    """What `prometheus_client` asks for metrics."""

    def __init__(self, all_stats: Sequence[ModelStats]) -> None:
        self._all = all_stats

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        labels = ("model",) if len(self._all) > 1 else ()
        of_models = [readings(model.stats) for model in self._all]
        for same in zip(*of_models, strict=True):
            family = CounterMetricFamily if same[0].counts else GaugeMetricFamily
            metric = family(same[0].name, same[0].help, labels=labels)
            for model, reading in zip(self._all, same, strict=True):
                metric.add_metric([model.name] if labels else [], reading.value)
            yield metric
