"""From a chosen model to a smaller one, in a file that has no name: nothing is left of it, whatever happens.

Refuses to know what becomes of the result (`bundler/making/`).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bundler.asking.program import unpacked_program
from bundler.choosing.models import ChosenModel
from bundler.file.copying import transfer, unchanged
from bundler.file.plan import PlannedRuntime
from bundler.file.target import check_room
from bundler.freeze.pack import sha256_of
from bundler.gguf import summarize, weights_header
from bundler.progress import Progress
from bundler.quantizing.child import Said, run_quantizer
from bundler.quantizing.importance import sizes_wanted, write_means
from bundler.quantizing.names import FileType
from bundler.quantizing.plan import changes, check_allowed, quantized_size
from bundler.sources import Resolved
from bundler.text import human_size
from runtime.engine.llama.quantizing import Importance, QuantizeRequest

_IN_A_NAME = re.compile(r"(?<=[-._])(?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|B?F16|F32|FP16|FP32)(?=$|[-.])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantization:
    """What was asked for: a mix of types, and what to know of the model before choosing what to lose of it.

    `importance` is an importance matrix. `requantize`: also where weights have been quantized before.
    """

    file_type: FileType
    importance: Path | None = None
    requantize: bool = False

    def name_of(self, model: str) -> str:
        """What `model` is called afterwards: with this quantization in its name, in place of another one."""
        name, replaced = _IN_A_NAME.subn(self.file_type.name, model)
        return name if replaced else f"{model}-{self.file_type.name}"


@contextmanager
def quantized(
    model: ChosenModel, called: str, wanted: Quantization, runtime: PlannedRuntime, target: Path, progress: Progress
) -> Iterator[ChosenModel]:
    """`model`, which the user has `called` so, as it is `wanted`, while the block runs; itself where it is so already.

    `runtime` has the program that does it. What is written in between lies on the disk of `target`.

    Raises `QuantizedAlready`, `ImportanceMissing`, `ImportanceUnusable`, `QuantizingFailed`, `NoRoom`, `SourceChanged`,
    `GGUFError`, `CacheError`, `OSError`.
    """
    folder, program = target.parent, unpacked_program(runtime)
    with tempfile.TemporaryFile(dir=folder) as result, ExitStack() as needed:
        request = QuantizeRequest(
            source=str(needed.enter_context(_in_a_file_of_its_own(model, target, progress))),
            target=str(_path(result.fileno())),
            file_type=wanted.file_type.id,
            threads=len(os.sched_getaffinity(0)),
            requantize=wanted.requantize,
            importance=needed.enter_context(_importance(model, wanted.importance, folder)),
        )
        said = _ask(program, request, called)
        if not changes(said):
            progress.say(f"{called} is {wanted.file_type.name} already, and stays as it is.")
            yield model
            return
        known = {name for name, _count in request.importance.entries} if request.importance else set()
        check_allowed(
            called, wanted.file_type, said, requantize=wanted.requantize, importance=wanted.importance, known=known
        )
        check_room(target, 2 * quantized_size(model.header, said))  # here, and in the bundle
        with unchanged(model.weights, result.fileno()):
            _run(program, request, called, model, progress)
        needed.close()
        smaller = _described(model, wanted, runtime, _path(result.fileno()))
        before, after = model.info, smaller.info
        progress.say(
            f"Quantized: {human_size(before.file_size)} of {before.quantization} are now "
            f"{human_size(after.file_size)} of {after.quantization}."
        )
        yield smaller


def _ask(program: Path, request: QuantizeRequest, model: str) -> list[Said]:
    """What would become of each tensor."""
    said: list[Said] = []
    run_quantizer(program, msgspec.structs.replace(request, dry_run=True), model, said.append)
    return said


def _run(program: Path, request: QuantizeRequest, called: str, model: ChosenModel, progress: Progress) -> None:
    sizes = {tensor.name: tensor.size for tensor in model.header.tensors}
    with progress.step(f"Quantizing {called}", sum(sizes.values()), "bytes") as advance:
        run_quantizer(program, request, called, lambda said: advance(sizes.get(said.name, 0)))


@contextmanager
def _in_a_file_of_its_own(model: ChosenModel, target: Path, progress: Progress) -> Iterator[Path]:
    """Where llama.cpp finds the weights: it quantizes from whole files only, so those in a bundle are taken out."""
    source = model.source
    if source.size is None or (source.offset, source.size) == (0, source.path.stat().st_size):
        yield source.path
        return
    check_room(target, source.size)
    with tempfile.TemporaryFile(dir=target.parent) as file:
        with progress.step(f"Taking the weights out of {source.path.name}", source.size, "bytes") as advance:
            transfer(model.weights, file.fileno(), 0, advance)
        yield _path(file.fileno())


@contextmanager
def _importance(model: ChosenModel, path: Path | None, folder: Path) -> Iterator[Importance | None]:
    if path is None:
        yield None
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        entries = write_means(path, sizes_wanted(model.header), file)
        file.flush()
        yield Importance(str(_path(file.fileno())), entries)


def _described(model: ChosenModel, wanted: Quantization, runtime: PlannedRuntime, path: Path) -> ChosenModel:
    """The result, with what is known of it: nobody has ever stated what it must come to."""
    header, weights = weights_header(path)
    source = model.source
    how = f"quantized to {wanted.file_type.name} by {runtime.library}"
    if wanted.importance is not None:
        how += f" with the importance matrix {wanted.importance.name} (SHA-256 {sha256_of(wanted.importance)})"
    made = Resolved(path, source.name, baked=source.baked, origin=f"{source.origin or model.info.name}, {how}")
    return replace(model, header=header, info=summarize(header), weights=weights, source=made)


def _path(fd: int) -> Path:
    """A name for an open file that has none, for us and for processes that we start."""
    return Path(f"/proc/{os.getpid()}/fd/{fd}")
