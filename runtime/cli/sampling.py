"""Flags of sampling into what is sampled with: every sampler's numbers, biases, and a grammar.

Knows which of them are not called as the field is. Refuses to know what samplers do. Raises click's errors for what is
wrong with a flag, `OSError` for files that cannot be read.
"""

from __future__ import annotations

import re
from typing import Any

import click

from runtime.cli.options import SAMPLING
from runtime.cli.reading import inline, json_value, one_of
from runtime.engine.types import SAMPLERS, Sampling

FIELD_NAMES = {
    "temp": "temperature",
    "typical": "typical_p",
    "dynatemp_exp": "dynatemp_exponent",
    "mirostat_ent": "mirostat_tau",
    "mirostat_lr": "mirostat_eta",
}
"""Flags of sampling that are not called as the field of `Sampling` is."""

_TRANSLATED = frozenset(
    {"seed", "samplers", "logit_bias", "dry_sequence_breaker", "grammar_file", "json_schema", "json_schema_file"}
)
"""Flags of sampling that do not become a field as they are."""


def sampling_settings(flags: dict[str, Any]) -> Sampling:
    """What is sampled with unless a request says otherwise, of all `flags`. Raises `SchemaUnsupported`, too."""
    given = {
        FIELD_NAMES.get(name, name): flags[name]
        for option in SAMPLING
        if (name := option.name) is not None and name not in _TRANSLATED
    }
    if flags["samplers"] is not None:
        given["samplers"] = _samplers(flags["samplers"])
    if flags["dry_sequence_breaker"]:
        given["dry_sequence_breakers"] = tuple(text for text in flags["dry_sequence_breaker"] if text != "none")
    return Sampling(
        **given | {"grammar": _grammar(flags)},
        seed=None if flags["seed"] == -1 else flags["seed"] & 0xFFFFFFFF,
        logit_bias=tuple(_bias(text) for text in flags["logit_bias"]),
    )


def _samplers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(";") if name.strip())
    for name in names:
        if name not in SAMPLERS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(SAMPLERS)}", param_hint="--samplers")
    return names


def _bias(text: str) -> tuple[int, float]:
    match = re.fullmatch(r"(\d{1,9})([+-](?:\d{1,9}(?:\.\d{0,9})?|inf))", text)
    if match is None:
        raise click.BadParameter(
            f"{text!r}: must be TOKEN+BIAS or TOKEN-BIAS, as in 15043+1", param_hint="--logit-bias"
        )
    return int(match[1]), float(match[2])


def _grammar(flags: dict[str, Any]) -> str:
    """GBNF, written so or as a JSON schema. Raises `SchemaUnsupported`."""
    schema = one_of(flags, "json_schema", "json_schema_file")
    grammar = one_of(flags, "grammar", "grammar_file")
    if schema is None:
        return "" if grammar is None else inline(grammar, "::=", "--grammar", "a grammar")
    if grammar is not None:
        raise click.UsageError("Either a grammar or a JSON schema, not both.")
    from runtime.grammar.json_schema import grammar_of

    text = schema if schema.strip() in ("true", "false") else inline(schema, "{", "--json-schema", "a schema")
    return grammar_of(json_value(text, "--json-schema"))
