"""`loaf diff A B`: in what two bundles differ.

Knows what of a bundle is of interest, and lays it out flat. Refuses to judge: bytes are compared by their hashes, which
`loaf verify` checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from bundler.text import as_json, human_count, human_size
from runtime.bundle import Bundle, Entry, Model
from runtime.cli.arguments import shown_arguments
from runtime.errors import escaped

_LAUNCHER = "launcher"
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_WIDTH = 60
"""Characters of a value that are shown to people."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` has the value `a` in the first bundle and `b` in the second; None: there is no such thing in it."""

    what: str
    a: Any
    b: Any


def differences(a: Bundle, b: Bundle) -> tuple[Difference, ...]:
    """All in which they differ; empty where they are the same bundle, byte for byte."""
    if a.manifest.build_id == b.manifest.build_id:
        return ()
    first, second = dict(_facts(a, {})), dict(_facts(b, _labels(a, b)))
    found = [
        Difference(what, _shown(what, first.get(what)), _shown(what, second.get(what)))
        for what in dict.fromkeys((*first, *second))
        if first.get(what) != second.get(what)
    ]
    return tuple(found)


def headline(a: Bundle, b: Bundle) -> str:
    """What is to be known before all else: that they hold different models; "" where the first of each is the same."""
    first, second = a.served_models()[0], b.served_models()[0]
    if _sha256(a, first) == _sha256(b, second):
        return ""
    return f"They hold different models: {_model(first)}, and {_model(second)}."


def _sha256(bundle: Bundle, model: Model) -> str:
    return next(entry.sha256 for entry in bundle.manifest.entries if entry.name == model.entry)


def _model(model: Model) -> str:
    return f"{model.name} ({model.architecture}, {human_count(model.parameter_count)} parameters, {model.quantization})"


def to_json(found: tuple[Difference, ...]) -> str:
    """For programs: a list, empty where nothing differs."""
    return as_json([asdict(difference) for difference in found])


def to_text(found: tuple[Difference, ...]) -> str:
    """For people: a line each, but for what says nothing: no value on either side, and a launcher beside all else."""
    told = [one for one in found if one.what != _LAUNCHER and not (one.a in _NOTHING and one.b in _NOTHING)] or found
    width = max((len(difference.what) for difference in told), default=0)
    lines = [f"{one.what:<{width}}  {_short(one.a)}  →  {_short(one.b)}" for one in told]
    return "\n".join(map(escaped, lines))


def _labels(a: Bundle, b: Bundle) -> dict[str, str]:
    """What models of `b` are called in `a`, by their entries: those of the same weights, and in the same role."""
    known = {(model.role, _sha256(a, model)): model.name for model in a.manifest.models}
    found = {model.entry: known.get((model.role, _sha256(b, model))) for model in b.manifest.models}
    return {entry: name for entry, name in found.items() if name is not None}


def _facts(bundle: Bundle, labels: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """(what, value) of all that may differ; the launcher follows from the rest but for its text, so it comes last.

    Models go by their names, or what is in `labels` for their entries.
    """
    manifest = bundle.manifest
    yield "name", manifest.name
    yield "loaf", manifest.loaf
    yield "args", bundle.args
    yield "system", manifest.system
    yield "chat_template", manifest.chat_template
    if manifest.warm is not None:
        yield from _fields("warm", manifest.warm)
    for model in manifest.models:
        of = f"{model.role} {labels.get(model.entry, model.name)}"
        yield from (
            (what, value) for what, value in _fields(of, model) if (what, value) != (f"{of}, name", manifest.name)
        )
    for runtime in manifest.runtimes:
        yield from _fields(f"runtime {runtime.platform}", runtime)
    for builder in manifest.builders:
        yield from _fields(f"builder {builder.platform}", builder)
    for pack in manifest.packs:
        yield from _fields(f"{pack.backend} {pack.platform}", pack)
    for media in manifest.media:
        yield from _fields(f"media {media.platform}", media)
    for entry in (*manifest.entries[1:], manifest.entries[0]):
        yield entry.name or _LAUNCHER, entry


def _fields(of: str, thing: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    fields = msgspec.to_builtins(thing)
    for package in (*fields.pop("packages", ()), *fields.pop("libraries", ())):
        yield f"{of}, {package['name']}", package["version"]
    for name, value in fields.items():
        yield f"{of}, {name}", value


def _shown(what: str, value: Any) -> Any:
    """`value` as JSON can have it, without secrets."""
    if what == "args" and value is not None:
        return shown_arguments(value)
    return msgspec.to_builtins(value) if isinstance(value, Entry) else value


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        beside = f", beside it as {value['file']}" if "file" in value else ""
        return f"{human_size(value['size'])}, {value['sha256'][:16]}{beside}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
