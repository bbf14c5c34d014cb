"""`--explain`: what is told is what a launch does, in one sentence for each reason."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.engine.placement import Verdict
from runtime.engine.settings import LoadSettings
from runtime.engine.weights import Adapter, Weights
from runtime.explaining.launch import describe_model
from runtime.explaining.report import Cache, Machine, Model, Report
from runtime.explaining.sentences import sentences
from runtime.machine.processor import Variant
from runtime.machine.resources import Memory, Processors
from runtime.models.loading import look_at_models, open_models
from runtime.settings import EngineSettings, Settings
from support.adapters import write_lora
from support.architectures import Architecture, write_model
from support.bundles import Server
from support.places import BENCHMARKS, ROOT

sys.path.append(str(BENCHMARKS))

from shapes import Llama
from vocabularies import sentence_pieces
from weights import Q4_0, write_noise

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def looked_at(settings: Settings) -> Model:
    (told,) = (
        describe_model(name, weights, own, backend) for name, weights, own, backend in look_at_models(None, settings)
    )
    return told


def opened(settings: Settings) -> Model:
    (served,) = open_models(None, settings)
    try:
        return describe_model(served.name, served.weights, settings, served.engine.ready.result(60))
    finally:
        served.stop()
        served.engine.join(10)


def agree(settings: Settings) -> Model:
    told, done = looked_at(settings), opened(settings)
    assert told == done
    return told


@pytest.mark.parametrize("architecture", Architecture, ids=[one.value for one in Architecture])
def test_what_is_told_is_what_is_done(architecture: Architecture, tmp_path: Path) -> None:
    agree(Settings(model=write_model(tmp_path / "model.gguf", architecture)))


def test_weights_that_are_repacked(tmp_path: Path) -> None:
    """The one thing that only loading them shows: it takes from the memory that the context may have."""
    path = tmp_path / "noise.gguf"
    write_noise(path, Llama(layers=2, width=256, hidden=512, heads=4, kv_heads=2), sentence_pieces(500), Q4_0)
    told = agree(Settings(model=path))
    assert told.repacked > 0
    spared = agree(Settings(model=path, engine=EngineSettings(load=LoadSettings(repack=False))))
    assert spared.repacked == 0


def test_settings_count(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", Architecture.ATTENTION)
    adapter = Adapter("lora", Weights(write_lora(tmp_path / "lora.gguf", 1, 4)))
    engine = EngineSettings(n_ctx=512, n_slots=2, n_threads=1, cache_type_k="f32", adapters=(adapter,))
    told = agree(Settings(model=path, engine=msgspec.structs.replace(engine, load=LoadSettings(mmap=False))))
    assert (told.n_ctx, told.n_ctx_source, told.n_slots) == (512, "flag", 2)
    assert (told.n_threads, told.n_threads_source, told.mapped) == (1, "flag", False)


def test_a_context_that_memory_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "model.gguf", Architecture.ATTENTION)
    monkeypatch.setattr("runtime.models.loading.memory", lambda: Memory(10**9, None, path.stat().st_size + 200_000))
    told = agree(Settings(model=path))
    assert told.n_ctx < told.n_ctx_train
    assert told.n_ctx_source == "memory"


def test_the_weights_are_not_read(tmp_path: Path) -> None:
    """Nor is memory touched that they would be read into."""
    path = tmp_path / "noise.gguf"
    size = write_noise(path, Llama(layers=6, width=2048, hidden=8192), sentence_pieces(500), Q4_0)
    code = "from runtime.cli.main import main; main(); print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", code, "-m", str(path), "--explain"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"noise is llama, [\d.]+ (m|b)illion parameters, \w+\.", said)
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", said)[0]) * 1024 < 0.75 * size


MACHINE = Machine(
    system="Linux 6.1 on x86_64, glibc 2.36",
    processor="Fast 3000",
    variant=Variant("haswell", ("AVX", "AVX2"), "alderlake", ("AVX-VNNI",)),
    n_variants=14,
    there=("x64 (any processor)", "haswell (AVX2)"),
    missing="",
    processors=Processors(8, 8, None),
    numa_nodes=1,
    memory=Memory(16_000_000_000, None, 9_000_000_000),
)
MODEL = Model(
    name="demo",
    description="llama, 8.0 billion parameters, Q4_K - Medium",
    license="apache-2.0",
    has_chat_template=True,
    lines=("Computing on the processor",),
    n_layers=33,
    n_layers_on_gpus=0,
    n_ctx=8192,
    n_ctx_train=8192,
    n_ctx_source="model",
    n_slots=4,
    n_threads=8,
    n_threads_source="machine",
    numa="",
    weights=4_900_000_000,
    weights_on_gpus=0,
    mapped=True,
    locked=False,
    repacked=0,
    context=1_000_000_000,
    context_on_gpus=0,
    scratch=(("CPU", 300_000_000),),
)
CACHE = Cache("/home/me/.cache/loaf", True, 10**9)


def page(machine: dict[str, Any], model: dict[str, Any], **report: Any) -> str:
    replace = msgspec.structs.replace
    whole = Report("1.0", replace(MACHINE, **machine), (), (replace(MODEL, **model),), CACHE)
    return "\n".join(sentences(replace(whole, **report)))


SENTENCES = [
    ("the version and the system", {}, {}, {}, "This is loaf 1.0 on Linux 6.1 on x86_64, glibc 2.36."),
    ("the variant", {}, {}, {},
     "Fast 3000 computes with haswell, the best that it can run of those that are there: x64 (any processor), "
     "haswell (AVX2) (2 of 14 variants)."),
    ("all variants", {"n_variants": 2}, {}, {}, "computes with haswell, the best that it can run of 2 variants."),
    ("what it uses", {}, {}, {}, "That uses its AVX and AVX2."),
    ("the next better one", {}, {}, {}, "The next better one, alderlake, needs AVX-VNNI, which this processor lacks."),
    ("one that is not there", {"missing": "zen4 (AVX-512 VNNI)"}, {}, {},
     "It could run zen4 (AVX-512 VNNI), too, which is not in this file (loaf runtime freeze --complete)."),
    ("all processors", {}, {}, {}, "All 8 processors may be used."),
    ("affinity", {"processors": Processors(8, 3, None)}, {}, {}, "3 of 8 processors may be used: the process's affin"),
    ("a quota", {"processors": Processors(8, 8, 1.5)}, {}, {},
     "2 of 8 processors may be used: the control group's quota is 1.5."),
    ("memory", {}, {}, {}, "The machine has 16.0 GB of memory; 9.0 GB are available."),
    ("a limit of it", {"memory": Memory(16 * 10**9, 2 * 10**9, 10**9)}, {}, {},
     "the control group's limit is 2.0 GB; 1.0 GB"),
    ("a backend", {}, {}, {"backends": (Verdict("Vulkan", False, "libvulkan.so.1 is not there"),)},
     "Vulkan: libvulkan.so.1 is not there."),
    ("where it computes", {}, {"lines": ("On Vulkan0: 2 of 5 layers",)}, {}, "On Vulkan0: 2 of 5 layers."),
    ("threads", {}, {}, {}, "one for each processor, fewer while other programs need"),
    ("one thread", {}, {"n_threads": 1, "n_threads_source": "flag"}, {}, "with 1 thread: as --threads says."),
    ("threads by affinity", {}, {"n_threads_source": "affinity"}, {}, "one for each that the affinity allows"),
    ("threads by quota", {}, {"n_threads_source": "quota"}, {}, "as many as the control group's quota keeps busy"),
    ("numa", {}, {"numa": "isolate"}, {}, "--numa isolate changes nothing: there is one NUMA node."),
    ("numa nodes", {"numa_nodes": 2}, {"numa": "isolate"}, {}, "--numa isolate rules over 2 NUMA nodes."),
    ("the context", {}, {}, {}, "8,192 tokens for 4 requests at once: all that the model was trained for."),
    ("more than there is", {}, {"context": 20_000_000_000}, {}, "Together that is more than is available"),
    ("a context by flag", {}, {"n_ctx_source": "flag"}, {}, "as --ctx-size says; the model was trained for 8,192."),
    ("a context by memory", {}, {"n_ctx_source": "memory"}, {}, "half of the memory that the weights leave"),
    ("a context by device", {}, {"n_ctx_source": "device"}, {}, "what fits on the GPU of the 8,192"),
    ("mapped weights", {}, {}, {}, "Its weights are 4.9 GB, mapped from the file"),
    ("weights that are read", {}, {"mapped": False, "locked": True}, {}, "read into memory, and locked there."),
    ("weights on a GPU", {}, {"n_layers_on_gpus": 9, "weights_on_gpus": 10**9}, {}, "1.0 GB go on the GPU"),
    ("repacked ones", {}, {"repacked": 4 * 10**9}, {}, "4.0 GB are in memory once more, repacked"),
    ("what the context takes", {}, {}, {}, "The context takes 1.0 GB."),
    ("what of it is on a GPU", {}, {"context_on_gpus": 5 * 10**8}, {}, "takes 1.0 GB, of it 500.0 MB on the GPU."),
    ("what computing takes", {}, {}, {}, "Computing takes 300.0 MB (CPU) besides."),
    ("the cache", {}, {}, {}, "Programs are unpacked into /home/me/.cache/loaf, where 1.0 GB are free."),
    ("noexec", {}, {}, {"cache": Cache("/c", False, 1)}, "mounted noexec. Set LOAF_CACHE_DIR"),
    ("an error", {}, {}, {"problem": "--gpu cuda: no pack"}, "It would not start: --gpu cuda: no pack"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "model", "report", "says"), [row[1:] for row in SENTENCES], ids=[row[0] for row in SENTENCES]
)
def test_each_fact_is_a_sentence(
    machine: dict[str, Any], model: dict[str, Any], report: dict[str, Any], says: str
) -> None:
    assert says in page(machine, model, **report)


def test_models_that_share_a_gpu() -> None:
    on_gpu = msgspec.structs.replace(MODEL, n_layers_on_gpus=33)
    for models, said in ((on_gpu,), False), ((on_gpu, MODEL), False), ((on_gpu, on_gpu), True):
        assert ("one after the other" in page({}, {}, models=models)) == said


def test_nothing_is_said_of_what_is_not_there() -> None:
    encoder = {"n_ctx": 0, "context": 0, "scratch": ()}
    text = page({"variant": Variant("armv8.2_1"), "processor": ""}, encoder, cache=None)
    assert "This processor computes with armv8.2_1" in text
    assert not any(word in text for word in ("context", "Computing takes", "That uses", "next better", "unpacked"))


def test_the_bundle_explains_itself(demo: Path, run: Run, server: Server) -> None:
    explained = run(demo, "--explain")
    assert (explained.returncode, explained.stderr) == (0, "")
    for says in ("Vulkan: ", "CUDA: ", "ROCm: ", "Computing on the processor"):
        assert says in explained.stdout
    assert "Computing on the processor" in "".join(server.said)


def test_a_launch_that_fails_is_explained(demo: Path, run: Run, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"GGUF" + bytes(100))
    for flags, says in (
        (["-m", str(garbage)], "It would not start: "),
        (["-m", str(tmp_path / "none.gguf")], f"It would not start: {tmp_path / 'none.gguf'}: No such file"),
        (["--gpu", "cuda"], "It would not start: --gpu cuda: this file has no CUDA pack"),
    ):
        explained = run(demo, *flags, "--explain")
        assert (explained.returncode, explained.stderr) == (0, "")
        assert says in explained.stdout


def test_a_worker_loads_no_model(demo: Path, run: Run) -> None:
    explained = run(demo, "--worker", "--explain")
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "computes with" in explained.stdout
    assert "demo is " not in explained.stdout


def test_each_model_is_explained(several: Path, run: Run) -> None:
    explained = run(several, "--explain").stdout
    assert [name for name in ("demo", "embed", "ranker") if f"\n{name} is " in explained] == ["demo", "embed", "ranker"]


def test_props_tell_the_same(server: Server, demo: Path, run: Run) -> None:
    props = server.get("/props")[1]["loaf"]
    assert props["models"][0]["name"] == "demo"
    report = msgspec.convert(props, Report)
    assert report.cache is None, "which folders the machine has is nobody's business"
    told = "\n".join(sentences(report))
    explained = run(demo, "--explain").stdout
    model = told[told.index("demo is ") :]
    assert model in explained


@pytest.mark.parametrize("strategy", ["distribute", "isolate", "numactl"])
def test_numa(strategy: str, demo: Path, run: Run) -> None:
    answer = run(demo, "--numa", strategy, "--temp", "0", "-p", "Who was the first man on the moon?")
    assert "Neil Armstrong" in answer.stdout
    assert (answer.returncode, answer.stderr) == (0, "")
    assert run(demo, "--numa", "mirror", "-p", "x").returncode == 2


def test_explaining_is_imported_by_nobody_else() -> None:
    """It is for those who ask: a launch does not wait for it."""
    code = "import sys, runtime.cli.main, runtime.server.serve; sys.exit('runtime.explaining' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
