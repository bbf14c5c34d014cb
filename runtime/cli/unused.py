"""Flags of llama-server and llamafile that change nothing here: scripts that give them go on working.

A flag that would change what is answered, and cannot be had, is not among them: it is refused, as an unknown one or
with the reason.
"""

from __future__ import annotations

import click

_ALWAYS = None
"""It is so anyhow: nothing need be said."""

_ON_THE_GPU = "what belongs to a layer on the GPU is there, too"
_ONE_COUNT = "--threads counts for prompts and answers alike"
_WITH_THE_MODEL = "the draft model computes where the whole model does, else on the processor"
_LINES = "--log-format says how lines of the log look"
_OF_LLAMAFILE = "llamafile's, without a meaning here"

_SWITCHES: tuple[tuple[str, str | None], ...] = (
    ("-cb --cont-batching", _ALWAYS),
    ("-nocb --no-cont-batching", "requests are always computed together"),
    ("--jinja", _ALWAYS),
    ("--no-jinja", "chat templates are always Jinja's"),
    ("-kvu --kv-unified", _ALWAYS),
    ("-no-kvu --no-kv-unified", "all requests share one pool of the context"),
    ("--embedding --embeddings", _ALWAYS),
    ("--offline", _ALWAYS),
    ("--mmap", _ALWAYS),
    ("--repack", _ALWAYS),
    ("--cache-prompt", _ALWAYS),
    ("--no-cache-prompt", "a request's cache_prompt says so"),
    ("--warmup", "the first request warms up"),
    ("--no-warmup", _ALWAYS),
    ("--no-perf", _ALWAYS),
    ("--perf", _ALWAYS),
    ("-e --escape", "prompts are taken as they are"),
    ("--no-escape", _ALWAYS),
    ("--log-disable", _ALWAYS),
    ("--log-prefix", _LINES),
    ("--log-timestamps", _LINES),
    ("--op-offload", _ALWAYS),
    ("--no-op-offload", _ON_THE_GPU),
    ("--v2", _OF_LLAMAFILE),
    ("--fast", _OF_LLAMAFILE),
    ("--precise", _OF_LLAMAFILE),
    ("--recompile", _OF_LLAMAFILE),
    ("--nocompile", _OF_LLAMAFILE),
    ("--tinyblas", _OF_LLAMAFILE),
    ("--trap", _OF_LLAMAFILE),
    ("--nologo", _OF_LLAMAFILE),
    ("--ascii", _OF_LLAMAFILE),
    ("--silent-prompt", _OF_LLAMAFILE),
    ("--no-display-prompt", _ALWAYS),
    ("--unsecure", "--no-sandbox has nothing confined"),
)

_VALUES: tuple[tuple[str, str | None], ...] = (
    ("-tb --threads-batch", _ONE_COUNT),
    ("--threads-http", _ONE_COUNT),
    ("-td --threads-draft --spec-draft-threads", "--threads counts for the draft model, too"),
    ("-tbd --threads-batch-draft --spec-draft-threads-batch", "--threads counts for the draft model, too"),
    ("-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl", _WITH_THE_MODEL),
    ("-devd --device-draft --spec-draft-device", _WITH_THE_MODEL),
    ("-C --cpu-mask", "the system's affinity is kept to (taskset)"),
    ("--prio", "the system's priority is kept (nice)"),
    ("--poll", "threads wait as llama.cpp has them wait"),
    ("-dt --defrag-thold", "the pool needs no tidying"),
    ("-sps --slot-prompt-similarity", "the longest common beginning is always used"),
    ("--cache-reuse", "only a prompt's beginning is used again"),
    ("--keep", "a request's n_keep says so"),
    ("-lv --verbosity --log-verbosity", "--verbose writes all there is into the log"),
    ("--log-colors", _LINES),
)


def unused_options() -> list[click.Option]:
    """Options that are taken, not shown in the help, and answered with a line where one is due."""
    switches = [_option(names, reason, is_flag=True) for names, reason in _SWITCHES]
    return switches + [_option(names, reason, is_flag=False) for names, reason in _VALUES]


def _option(names: str, reason: str | None, *, is_flag: bool) -> click.Option:
    def say(_context: click.Context, param: click.Parameter, value: bool | str | None) -> None:
        if value and reason is not None:
            click.echo(f"{param.opts[-1]} changes nothing: {reason}", err=True)

    return click.Option(
        names.split(), is_flag=is_flag, hidden=True, expose_value=False, allow_from_autoenv=False, callback=say
    )
