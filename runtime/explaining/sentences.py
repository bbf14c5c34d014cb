"""The report as a page of plain sentences. The only place that knows their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runtime.explaining.report import Cache, Machine, Model, Report


def sentences(report: Report) -> Iterator[str]:
    """The page, line by line, with an empty one between its parts."""
    yield f"This is loaf {report.version} on {report.machine.system}."
    yield from _machine(report.machine)
    for part in _parts(report):
        yield ""
        yield from part


def _parts(report: Report) -> Iterator[Iterable[str]]:
    yield (f"{verdict.backend}: {verdict.reason}." for verdict in report.backends)
    for model in report.models:
        yield _model(model, report.machine)
    if sum(model.n_layers_on_gpus > 0 for model in report.models) > 1:
        yield ("A launch loads the models one after the other: on the GPU, each finds what those before it have left.",)
    if report.cache is not None:
        yield _cache(report.cache)
    if report.sandbox:
        yield (f"{line}." for line in report.sandbox)
    if report.problem:
        yield (f"It would not start: {report.problem}",)


def _machine(machine: Machine) -> Iterator[str]:
    variant = machine.variant
    name = machine.processor or "This processor"
    yield f"{name} computes with {variant.name}, the best that it can run of {_variants(machine)}."
    if variant.uses:
        yield f"That uses its {_list(variant.uses)}."
    if machine.missing:
        yield f"It could run {machine.missing}, too, which is not in this file (loaf runtime freeze --complete)."
    elif variant.better:
        yield f"The next better one, {variant.better}, needs {_list(variant.lacks)}, which this processor lacks."
    count = machine.processors
    yield {
        "machine": f"All {count.present} processors may be used.",
        "affinity": f"{count.usable} of {count.present} processors may be used: the process's affinity allows no more.",
        "quota": f"{count.usable} of {count.present} processors may be used: the control group's quota is "
        f"{count.quota or 0:g}.",
    }[count.limited_by]
    memory = machine.memory
    limited = f", and the control group's limit is {_size(memory.limit)}" if memory.limit is not None else ""
    yield f"The machine has {_size(memory.total)} of memory{limited}; {_size(memory.available)} are available."


def _variants(machine: Machine) -> str:
    if len(machine.there) == machine.n_variants:
        return _count(machine.n_variants, "variant")
    return f"those that are there: {', '.join(machine.there)} ({len(machine.there)} of {machine.n_variants} variants)"


def _cache(cache: Cache) -> Iterator[str]:
    yield f"Programs are unpacked into {cache.folder}, where {_size(cache.free)} are free."
    if cache.runs_programs:
        yield "They may be run there."
    else:
        yield "They cannot be run there: the file system is mounted noexec. Set LOAF_CACHE_DIR to a folder elsewhere."


def _model(model: Model, machine: Machine) -> Iterator[str]:
    yield f"{model.name} is {model.description}{f', licence {model.license}' if model.license else ''}."
    yield from (f"{line}." for line in model.lines)
    yield _threads(model)
    if model.numa:
        nodes = machine.numa_nodes
        does = f"rules over {nodes} NUMA nodes" if nodes > 1 else "changes nothing: there is one NUMA node"
        yield f"--numa {model.numa} {does}."
    if model.n_ctx:
        yield f"The context has {model.n_ctx:,} tokens for {model.n_slots} requests at once: {_context_source(model)}."
    yield from _memory(model)
    taken = model.context - model.context_on_gpus + sum(size for memory, size in model.scratch if memory == "CPU")
    if taken > machine.memory.available:
        yield "Together that is more than is available: a smaller --ctx-size takes less."
    if model.draft is not None:
        draft = model.draft
        yield (
            f"A draft model guesses what it says next, while that is worth it: {draft.description}. Its weights are "
            f"{_size(draft.weights)}, and its context takes {_size(draft.context)}."
        )


def _threads(model: Model) -> str:
    source = {
        "flag": "as --threads says",
        "machine": "one for each processor",
        "affinity": "one for each that the affinity allows",
        "quota": "as many as the control group's quota keeps busy",
    }[model.n_threads_source]
    gives_way = model.n_threads > 1 and model.n_threads_source != "flag" and not model.n_layers_on_gpus
    fewer = ", fewer while other programs need the processors" if gives_way else ""
    return f"It computes with {_count(model.n_threads, 'thread')}: {source}{fewer}."


def _context_source(model: Model) -> str:
    of = f"of the {model.n_ctx_train:,} that the model was trained for (--ctx-size sets it)"
    return {
        "flag": f"as --ctx-size says; the model was trained for {model.n_ctx_train:,}",
        "model": "all that the model was trained for",
        "memory": f"what half of the memory that the weights leave can hold {of}",
        "device": f"what fits on the GPU {of}",
    }[model.n_ctx_source]


def _memory(model: Model) -> Iterator[str]:
    how = "mapped from the file, so the system may share and drop them" if model.mapped else "read into memory"
    if model.locked:
        how += ", and locked there"
    if model.n_layers_on_gpus:
        there = _size(model.weights_on_gpus)
        yield f"Its weights are {_size(model.weights)}: {there} go on the GPU, and what does not is {how}."
    else:
        yield f"Its weights are {_size(model.weights)}, {how}."
    if model.repacked:
        yield f"{_size(model.repacked)} are in memory once more, repacked for this processor (--no-repack spares that)."
    if model.context:
        on_gpus = f", of it {_size(model.context_on_gpus)} on the GPU" if model.context_on_gpus else ""
        yield f"The context takes {_size(model.context)}{on_gpus}."
    if model.scratch:
        parts = " and ".join(f"{_size(size)} ({memory})" for memory, size in model.scratch)
        yield f"Computing takes {parts} besides."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _list(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _size(size: float) -> str:
    """With a unit of 1000."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
