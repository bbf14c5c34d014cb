"""Which devices compute, how many layers go there, and what is done where that fails: policies, without a driver."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backends.choosing import GpuUnavailable, choose
from runtime.backends.devices import Device, Kind, Report
from runtime.backends.fitting import SPARE, fit
from runtime.bundle import Backend
from runtime.engine.errors import ContextFailed, ModelLoadFailed
from runtime.engine.facts import LayerSizes
from runtime.engine.placement import Offload, Placement
from runtime.memory.layers import LayerCache
from runtime.memory.sizes import Kept
from runtime.offloading.placing import open_where_it_fits
from runtime.settings import GpuSettings

GIB = 2**30


def device(backend: Backend, number: int, kind: Kind = "discrete") -> Device:
    return Device(backend, number, f"{kind} {number}", kind, 8 * GIB, 8 * GIB, "driver 1")


def report(backend: Backend, *kinds: Kind, problem: str = "") -> Report:
    return Report(backend, tuple(device(backend, i, kind) for i, kind in enumerate(kinds)), problem)


NO_LOADER = report("vulkan", problem="libvulkan.so.1 is not there")
TWICE = Report("vulkan", tuple(
    msgspec.structs.replace(device("vulkan", i), identity=identity) for i, identity in enumerate(("one", "one", "two"))
))  # fmt: skip
"""A GPU with two drivers, and another one."""

AUTO = GpuSettings()

CHOICES = [
    ("CUDA before Vulkan", AUTO, None, [report("vulkan", "discrete"), report("cuda", "discrete")], ["CUDA0"]),
    ("ROCm before Vulkan", AUTO, None, [report("vulkan", "discrete"), report("rocm", "discrete")], ["ROCm0"]),
    ("all of its devices", AUTO, None, [report("cuda", "discrete", "discrete")], ["CUDA0", "CUDA1"]),
    ("the next where there is none", AUTO, None, [report("cuda"), report("vulkan", "discrete")], ["Vulkan0"]),
    ("only discrete ones", AUTO, None, [report("vulkan", "integrated", "discrete", "software")], ["Vulkan1"]),
    ("of a virtual machine", AUTO, None, [report("vulkan", "virtual")], ["Vulkan0"]),
    ("each once, whoever lists it", AUTO, None, [TWICE], ["Vulkan0", "Vulkan2"]),
    ("the next where one failed", AUTO, None,
     [report("cuda", problem="no libcublas.so.12"), report("vulkan", "discrete")], ["Vulkan0"]),
    ("not a software device", AUTO, None, [report("vulkan", "software")], []),
    ("not an integrated device", AUTO, None, [report("vulkan", "integrated")], []),
    ("a software device that is named visible", AUTO, (0,), [report("vulkan", "software")], ["Vulkan0"]),
    ("visible ones, in their order", AUTO, (2, 0), [report("vulkan", *["discrete"] * 3)], ["Vulkan2", "Vulkan0"]),
    ("visible ones that are not there", AUTO, (7,), [report("vulkan", "discrete")], []),
    ("no loader", AUTO, None, [NO_LOADER], []),
    ("the backend that is named", GpuSettings("vulkan"), None,
     [report("cuda", "discrete"), report("vulkan", "discrete")], ["Vulkan0"]),
    ("its best kind", GpuSettings("vulkan"), None, [report("vulkan", "software", "integrated")], ["Vulkan1"]),
    ("a software device of a named backend", GpuSettings("vulkan"), None, [report("vulkan", "software")], ["Vulkan0"]),
    ("devices that are named", GpuSettings(devices=("vulkan1",)), None, [report("vulkan", "discrete", "software")],
     ["Vulkan1"]),
    ("none, named so", GpuSettings(devices=("none",)), None, [report("vulkan", "discrete")], []),
    ("disabled", GpuSettings("disable"), None, [report("vulkan", "discrete")], []),
    ("no layers", GpuSettings(n_layers=0), None, [report("vulkan", "discrete")], []),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "visible", "reports", "labels"), [row[1:] for row in CHOICES],
                         ids=[row[0] for row in CHOICES])  # fmt: skip
def test_choices(
    wanted: GpuSettings, visible: tuple[int, ...] | None, reports: list[Report], labels: list[str]
) -> None:
    choice = choose(wanted, visible, reports)
    assert [device.label for device in choice.devices] == labels
    assert bool(choice.sentence) == (not labels)


REASONS = [
    ("a software device", [report("vulkan", "software")], "Vulkan: there is only software 0, a software device"),
    ("how it is taken", [report("vulkan", "software")], "--device Vulkan0"),
    ("an integrated one", [report("vulkan", "integrated")], "an integrated device"),
    ("no loader", [NO_LOADER], "Vulkan: libvulkan.so.1 is not there"),
    ("no device", [report("vulkan")], "Vulkan: its driver lists no device"),
    ("each backend has its own", [report("cuda", problem="no driver"), report("vulkan")], "CUDA: no driver; Vulkan: "),
]


@pytest.mark.parametrize(("reports", "says"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS])
def test_reasons(reports: list[Report], says: str) -> None:
    assert says in choose(AUTO, None, reports).sentence


VERDICTS = [
    ("the one that computes", AUTO, [report("vulkan", "discrete")],
     [("Vulkan", True, "computing on Vulkan0 (discrete 0, 8.6 GB)")]),
    ("all that compute", AUTO, [report("cuda", "discrete", "discrete")],
     [("CUDA", True, "computing on CUDA0 (discrete 0, 8.6 GB) and CUDA1 (discrete 1, 8.6 GB)")]),
    ("the one that comes later", AUTO, [report("vulkan", "discrete"), report("cuda", "discrete")],
     [("CUDA", True, "computing on CUDA0 (discrete 0, 8.6 GB)"), ("Vulkan", False, "CUDA comes before it")]),
    ("the one that cannot", AUTO, [report("vulkan", "discrete"), report("cuda", problem="no driver")],
     [("CUDA", False, "no driver"), ("Vulkan", True, "computing on Vulkan0 (discrete 0, 8.6 GB)")]),
    ("the one that is not named", GpuSettings("vulkan"), [report("vulkan", "discrete"), report("cuda", "discrete")],
     [("CUDA", False, "--gpu names Vulkan"), ("Vulkan", True, "computing on Vulkan0 (discrete 0, 8.6 GB)")]),
    ("devices that are not named", GpuSettings(devices=("CUDA0",)),
     [report("vulkan", "discrete"), report("cuda", "discrete")],
     [("CUDA", True, "computing on CUDA0 (discrete 0, 8.6 GB)"), ("Vulkan", False, "--device names others")]),
    ("no device", AUTO, [NO_LOADER], [("Vulkan", False, "libvulkan.so.1 is not there")]),
    ("nobody was asked", GpuSettings("disable"), [report("vulkan", "discrete")], []),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "reports", "told"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_verdicts(wanted: GpuSettings, reports: list[Report], told: list[tuple[str, bool, str]]) -> None:
    verdicts = choose(wanted, None, reports).verdicts
    assert [(verdict.backend, verdict.is_taken, verdict.reason) for verdict in verdicts] == told


REFUSED = [
    ("a backend without a pack", GpuSettings("cuda"), [report("vulkan", "discrete")], "no CUDA pack.*it has: vulkan"),
    ("a backend without a device", GpuSettings("vulkan"), [NO_LOADER], "libvulkan"),
    ("a device that is not there", GpuSettings(devices=("Vulkan3",)), [report("vulkan", "discrete")],
     "no Vulkan3.*Vulkan0"),
    ("a device without any pack", GpuSettings(devices=("Vulkan0",)), [], "no pack in this file"),
    ("devices of two backends", GpuSettings(devices=("Vulkan0", "CUDA0")),
     [report("vulkan", "discrete"), report("cuda", "discrete")], "two backends"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "reports", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_a_flag_names_must_be_there(wanted: GpuSettings, reports: list[Report], says: str) -> None:
    with pytest.raises(GpuUnavailable, match=says):
        choose(wanted, None, reports)


MODEL = LayerSizes(
    layers=(GIB,) * 4, output=GIB, caches=(LayerCache(256, 256, None, 0),) * 4, widest=0, n_ctx_train=4096
)
NEEDED = 5 * GIB + 4 * 1024 * 4096 + 2 * 512 * 4096 + SPARE
"""All of it on one device: five layers, their cells, the mask, and what is spared."""


@pytest.mark.parametrize(("free", "n_layers"), [
    ([NEEDED], 5), ([NEEDED - 1], 4), ([GIB + 400 * 2**20], 1), ([GIB], 0), ([0], 0),
    ([NEEDED, NEEDED], 5), ([NEEDED // 2 + GIB, NEEDED // 2 + GIB], 5),
    # Shares go by what is free: the fifth layer would be the second device's, and four are too much for the first.
    ([4 * GIB, GIB + 2**20], 3),
])  # fmt: skip
def test_layers_that_fit(free: list[int], n_layers: int) -> None:
    assert fit(MODEL, 4096, Kept, free).n_layers == n_layers


def test_a_model_goes_on_the_device_with_less_context_rather_than_in_parts() -> None:
    long = LayerSizes((GIB,) * 4, GIB, (LayerCache(4096, 4096, None, 0),) * 4, 0, n_ctx_train=131_072)
    fitting = fit(long, None, Kept, [7 * GIB])
    assert (fitting.n_layers, fitting.n_ctx) == (5, 16_384)
    assert fit(long, 131_072, Kept, [7 * GIB]).n_layers < 5, "what a flag says is kept to"


MIXTURE = msgspec.structs.replace(MODEL, experts=(GIB // 2,) * 4)
HALF = GIB // 2


@pytest.mark.parametrize(("free", "flag", "placed"), [
    (NEEDED, None, (5, 0)),
    (NEEDED - 1, None, (5, 1)), (NEEDED - HALF, None, (5, 1)), (NEEDED - 2 * GIB, None, (5, 4)),
    (NEEDED - 2 * GIB - 1, None, (4, 4)), (NEEDED - 3 * GIB, None, (3, 4)), (GIB, None, (0, 4)),
    (NEEDED, 2, (5, 2)), (NEEDED - GIB, 2, (5, 2)), (NEEDED - GIB - 1, 2, (4, 2)), (NEEDED, 99, (5, 4)),
])  # fmt: skip
def test_experts_go_before_layers_do(free: int, flag: int | None, placed: tuple[int, int]) -> None:
    fitting = fit(MIXTURE, 4096, Kept, [free], cpu_experts=flag)
    assert (fitting.n_layers, fitting.cpu_experts) == placed


def test_a_model_without_experts_has_none_to_leave_out() -> None:
    assert fit(MODEL, 4096, Kept, [NEEDED - 1]).cpu_experts == 0
    assert MODEL.without_experts(4) == MODEL


SIZES = st.integers(0, 4 * GIB)


@given(
    st.lists(SIZES, min_size=1, max_size=40),
    SIZES,
    st.lists(st.integers(0, 32 * GIB), min_size=1, max_size=4),
    st.lists(st.floats(0, 10), max_size=4),
    st.integers(0, GIB),
)
def test_more_memory_never_takes_fewer_layers_on_one_device(
    layers: list[int], output: int, free: list[int], shares: list[float], more: int
) -> None:
    sizes = LayerSizes(tuple(layers), output, (LayerCache(256, 256, None, 0),) * len(layers), 0, 4096)
    assert 0 <= fit(sizes, 4096, Kept, free, shares).n_layers <= len(layers) + 1
    one = fit(sizes, 4096, Kept, free[:1]).n_layers
    assert fit(sizes, 4096, Kept, [free[0] + more]).n_layers >= one


def attempts(*counts: int) -> list[Placement]:
    return [Placement(Offload(Path("x.so"), (0,), n), lines=(f"{n} layers",)) for n in counts]


@pytest.mark.parametrize("error", [ModelLoadFailed(Path("m"), "out of memory"), ContextFailed(5, "")])
def test_fewer_layers_are_tried_and_each_failure_is_said(error: Exception) -> None:
    tried = []

    def open_with(placement: Placement) -> Placement:
        tried.append(placement.n_layers)
        if placement.n_layers > 2:
            raise error
        return placement

    opened = open_where_it_fits(attempts(8, 4, 2, 0), open_with)
    assert tried == [8, 4, 2]
    assert [line.split(":")[0] for line in opened.lines] == [
        "The GPU could not take 8 layers", "The GPU could not take 4 layers", "2 layers",
    ]  # fmt: skip
    assert all("memory" in line for line in opened.lines[:2])


def test_weights_that_are_wrong_are_so_on_the_processor_too() -> None:
    def open_with(placement: Placement) -> None:
        raise ModelLoadFailed(Path("m"), f"tried with {placement.n_layers}")

    with pytest.raises(ModelLoadFailed, match="tried with 0"):
        open_where_it_fits(attempts(4, 0), open_with)
