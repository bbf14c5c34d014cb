"""What was computed of a prompt's beginning when the bundle was built: whether this launch can go on from it.

Knows what a state depends on. Refuses to know how it is computed (`warming.py`) and when it is used
(`engine/storage.py`).
"""

from __future__ import annotations

import os

from runtime.bundle import Bundle, Warm
from runtime.engine.backend import Backend
from runtime.engine.errors import StateFailed
from runtime.engine.states import NOTHING_WARM, StateFile, Warmth
from runtime.settings import EngineSettings

_LIBRARY = "llama-cpp-python"
_ON_OR_OFF = {True: "on", False: "off", None: "auto"}


def warmth_of(bundle: Bundle, settings: EngineSettings, backend: Backend) -> Warmth:
    """What `backend`, which has loaded the bundle's first model, may go on from; else a line that says why not.

    Raises `OSError`.
    """
    warm, generator = bundle.manifest.warm, backend.generator
    if warm is None or generator is None:
        return NOTHING_WARM
    span = bundle.spans[warm.entry]
    file = StateFile(bundle.path, span.offset, span.size)
    reason = difference(warm, conditions(bundle, settings))
    if not reason and warm.tokens >= generator.n_ctx:
        reason = f"its {warm.tokens:,} tokens leave no room in a context of {generator.n_ctx:,}"
    if reason:
        return Warmth(line=_ignored(reason))
    try:
        tokens, checkpoints = generator.saved_tokens(file), generator.saved_checkpoints(file)
    except StateFailed as error:
        return Warmth(line=_ignored(f"it {error.reason}"))
    scales = tuple(adapter.scale for adapter in backend.adapters)
    line = f"Prompts may begin with {warm.tokens:,} tokens that are computed already"
    return Warmth(tokens, scales, file, line, checkpoints)


def conditions(bundle: Bundle, settings: EngineSettings) -> Warm:
    """What a state that is computed now with the bundle's first model would depend on; `tokens` is 0."""
    digests = {entry.name: entry.sha256 for entry in bundle.manifest.entries}
    inside = [(digests[adapter.entry], adapter.scale) for adapter in bundle.adapters()]
    return Warm(
        entry="",
        tokens=0,
        model=digests[bundle.served_models()[0].entry],
        adapters=(*inside, *(("", adapter.scale) for adapter in settings.adapters)),
        library=_library_version(bundle),
        cache_type_k=settings.cache_type_k,
        cache_type_v=settings.cache_type_v,
        flash_attention=settings.flash_attention,
    )


def _library_version(bundle: Bundle) -> str:
    system = os.uname()
    here = f"{system.sysname.lower()}-{system.machine}"
    packages = [package for one in bundle.manifest.runtimes if one.platform == here for package in one.packages]
    return next((package.version for package in packages if package.name == _LIBRARY), "")


def difference(then: Warm, now: Warm) -> str:
    """What of the two is not the same, for people; "" where all is."""
    if then.model != now.model:
        return "it was computed with other weights"
    if then.adapters != now.adapters:
        return "it was computed with other adapters"
    if then.library != now.library:
        return f"it was computed by {_LIBRARY} {then.library}, and this is {now.library}"
    for flag, before, after in (
        ("--cache-type-k", then.cache_type_k, now.cache_type_k),
        ("--cache-type-v", then.cache_type_v, now.cache_type_v),
        ("--flash-attn", _ON_OR_OFF[then.flash_attention], _ON_OR_OFF[now.flash_attention]),
    ):
        if before != after:
            return f"it was computed with {flag} {before}, and this is {after}"
    return ""


def _ignored(reason: str) -> str:
    return f"What the file has computed beforehand is not used: {reason}"
