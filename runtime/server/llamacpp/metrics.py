"""`/metrics`: the engine's numbers in Prometheus' text format.

Names that begin with `llamacpp:` are llama-server's, for dashboards that know them; `loaf_` are ours. Where the file
has one model they have no labels but llama-server's own; else each has the model's name, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from aiohttp import web

from runtime.engine.stats import EngineStats
from runtime.server.keys import MODELS, SETTINGS, STARTED
from runtime.server.refusals import SwitchedOff

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
"""In the value of a label (Prometheus' exposition formats, "Comments, help text, and type information")."""


class Reading(msgspec.Struct, frozen=True):
    """One number of one engine; or several, which differ in their labels. `counts`: it only grows."""

    name: str
    help: str
    values: Sequence[tuple[Mapping[str, str], float]]
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
    headers = {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Process-Start-Time-Unix": str(request.app[STARTED]),
    }
    return web.Response(body=metrics_text(all_stats).encode(), headers=headers)


def metrics_text(all_stats: Sequence[ModelStats]) -> str:
    """The text that Prometheus reads."""
    return "".join(f"{line}\n" for line in _lines(all_stats))


def readings(stats: EngineStats) -> tuple[Reading, ...]:
    """Everything that one engine has to tell, llama-server's names first (server-task.cpp: `to_metrics`)."""
    counted = stats.counters
    return (
        _count("llamacpp:prompt_tokens_total", "Prompt tokens computed, without cached ones", counted.prompt_tokens),
        _count("llamacpp:prompt_tokens_cached_total", "Prompt tokens that were cached", counted.cached_tokens),
        _count("llamacpp:prompt_seconds_total", "Seconds from admission to the first token", counted.prompt_seconds),
        _count("llamacpp:tokens_predicted_total", "Tokens generated", counted.generated_tokens),
        _count("llamacpp:tokens_predicted_seconds_total", "Seconds of generating", counted.generation_seconds),
        _count("llamacpp:n_decode_total", "Batches computed", counted.batches),
        _count("llamacpp:n_tokens_max", "Tokens of the longest sequence so far", counted.most_tokens),
        _count("llamacpp:spec_decode_num_draft_tokens_total", "Tokens guessed", counted.drafted_tokens),
        _count("llamacpp:spec_decode_num_accepted_tokens_total", "Tokens guessed right", counted.accepted_tokens),
        _count("llamacpp:spec_decode_num_drafts_total", "Times that anything was guessed", counted.drafts),
        Reading(
            "llamacpp:spec_decode_num_accepted_tokens_per_pos_total",
            "Tokens guessed right, by their place among guesses",
            [({"position": str(i)}, count) for i, count in enumerate(counted.accepted_at)],
        ),
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
        _now("llamacpp:requests_processing", "Requests that run", stats.running),
        _now("llamacpp:requests_deferred", "Requests that wait", stats.deferred),
        _now(
            "llamacpp:n_busy_slots_per_decode",
            "Sequences in a batch, on average since the start",
            _rate(counted.busy_slots, counted.batches),
        ),
        _count("loaf_requests_total", "Generations that have ended", counted.requests),
        _count("loaf_prefix_hits_total", "Generations whose prompt's beginning was cached", counted.prefix_hits),
        _count("loaf_embedded_texts_total", "Texts turned into vectors or scores", counted.embedded_texts),
        _count("loaf_embedded_tokens_total", "Tokens of those", counted.embedded_tokens),
        _count("loaf_media_encoded_total", "Pictures, or parts of one, that were looked at", counted.encoded),
        _now("loaf_threads", "Threads that compute: fewer while others need the processors", stats.n_threads),
        _now("loaf_slots", "KV sequences: how many requests can run", len(stats.slots)),
        _now("loaf_kv_cells", "Tokens that the KV pool has room for", stats.cells),
        _now("loaf_kv_cells_used", "Tokens that it holds", stats.cells_used),
    )


def _count(name: str, help: str, value: float) -> Reading:
    return Reading(name, help, [({}, value)])


def _now(name: str, help: str, value: float) -> Reading:
    return Reading(name, help, [({}, value)], counts=False)


def _rate(amount: float, over: float) -> float:
    return amount / over if over else 0.0


def _lines(all_stats: Sequence[ModelStats]) -> Iterator[str]:
    """All of a name stand together, whichever model they are of."""
    of_models = [readings(model.stats) for model in all_stats]
    for same in zip(*of_models, strict=True):
        yield f"# HELP {same[0].name} {same[0].help}"
        yield f"# TYPE {same[0].name} {'counter' if same[0].counts else 'gauge'}"
        for model, reading in zip(all_stats, same, strict=True):
            whose = {"model": model.name} if len(all_stats) > 1 else {}
            for labels, value in reading.values:
                yield f"{reading.name}{_labels({**whose, **labels})} {value!r}"


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""
