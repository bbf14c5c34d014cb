"""Drivers, asked by the real child process: Mesa's software device, and drivers that crash, hang or are not there."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.backends import cuda, detection, libraries, rocm, system_cxx
from runtime.backends.detection import PATIENT_SECONDS, SECONDS, ask, detect, detect_anew
from runtime.backends.devices import Device
from runtime.backends.drivers import identity
from support.drivers import CRASHES, CUDA_DRIVER, HANGS, HIP_RUNTIME, broken_driver, fake_library
from support.places import ROOT

LAVAPIPE = sorted(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json"))

needs_lavapipe = pytest.mark.skipif(not LAVAPIPE, reason="needs Mesa's lavapipe: install mesa-vulkan-drivers")


def use_driver(monkeypatch: pytest.MonkeyPatch, manifest: Path) -> None:
    """For this test the loader knows this driver only (VK_ICD_FILENAMES is the older name)."""
    monkeypatch.setenv("VK_DRIVER_FILES", str(manifest))
    monkeypatch.setenv("VK_ICD_FILENAMES", str(manifest))


@needs_lavapipe
def test_a_device_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    use_driver(monkeypatch, LAVAPIPE[0])
    (report,) = ask(["vulkan"], PATIENT_SECONDS)
    (device,) = report.devices
    assert device.label == "Vulkan0"
    assert "llvmpipe" in device.name
    assert device.kind == "software"
    assert 0 < device.free <= device.total
    assert "Mesa" in device.driver


@needs_lavapipe
def test_it_is_asked_once_until_the_driver_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tmp_path / "driver.json"
    manifest.write_bytes(LAVAPIPE[0].read_bytes())
    use_driver(monkeypatch, manifest)
    first = detect(["vulkan"], tmp_path, PATIENT_SECONDS)
    with monkeypatch.context() as patch:
        patch.setattr(detection, "ask", lambda backends, _seconds: tuple(pytest.fail(backend) for backend in backends))
        assert detect(["vulkan"], tmp_path, PATIENT_SECONDS) == first
    os.utime(manifest, (1, 1))
    asked = []
    monkeypatch.setattr(detection, "ask", lambda backends, seconds: asked.extend(backends) or ask(backends, seconds))
    assert detect(["vulkan"], tmp_path, PATIENT_SECONDS)[0].devices
    assert asked == ["vulkan"]


@needs_lavapipe
def test_asking_anew_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_driver(monkeypatch, LAVAPIPE[0])
    assert detect_anew(["vulkan"], tmp_path)[0].devices
    monkeypatch.setattr(detection, "ask", lambda backends, _seconds: tuple(map(pytest.fail, backends)))
    assert detect(["vulkan"], tmp_path)[0].devices


BROKEN = [
    ("crashes", CRASHES, PATIENT_SECONDS, r"crashed \(SIGABRT\)"),
    ("hangs", HANGS, SECONDS, "did not answer within 2 seconds"),
]


@pytest.mark.parametrize(("does", "seconds", "says"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_driver_costs_its_process_and_is_asked_again(
    does: str, seconds: float, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, broken_driver(tmp_path, does))
    (report,) = detect(["vulkan"], tmp_path, seconds)
    assert not report.devices
    assert re.search(says, report.problem)
    assert b"vulkan" not in (tmp_path / "devices.json").read_bytes()


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_driver(monkeypatch, tmp_path / "none.json")
    (report,) = ask(["vulkan"], PATIENT_SECONDS)
    assert "no Vulkan driver" in report.problem


def test_no_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of no use comes first where libraries are looked for."""
    (tmp_path / "libvulkan.so.1").write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (report,) = ask(["vulkan"], PATIENT_SECONDS)
    assert "Vulkan loader" in report.problem


def test_no_nvidia_and_no_amd_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are those of this machine: files of no use come first where libraries are looked for."""
    for name in (cuda.DRIVER, *rocm.RUNTIMES):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    nvidia, amd = ask(["cuda", "rocm"], PATIENT_SECONDS)
    assert "libcuda.so.1 is not there" in nvidia.problem
    assert "libamdhip64.so is not there" in amd.problem


def test_a_driver_where_no_loader_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in NVIDIA's containers."""
    fake_library(tmp_path / "libloaf-test.so.1", "int answer(void) { return 42; }\n")
    with pytest.raises(OSError, match="libloaf-test"):
        libraries.load_library("libloaf-test.so.1")
    monkeypatch.setattr(libraries, "_FOLDERS", (str(tmp_path),))
    assert libraries.load_library("libloaf-test.so.1").answer() == 42


@pytest.mark.parametrize(
    ("own", "system", "says"),
    [
        (True, ["ld-musl-x86_64.so.1"], "made for the C library musl"),
        (True, ["ld-musl-aarch64.so.1"], "made for the C library musl"),
        (True, ["ld-musl-x86_64.so.1", "libc.so.6"], ""),
        (True, [], ""),
        (False, ["ld-musl-x86_64.so.1"], ""),
    ],
)
def test_musl_s_drivers_are_for_musl(
    own: bool, system: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in system:
        (tmp_path / name).touch()
    monkeypatch.setattr(libraries, "own_c_library", lambda: tmp_path if own else None)
    monkeypatch.setattr(libraries, "_MUSL", tmp_path)
    monkeypatch.setattr(libraries, "_FOLDERS", (str(tmp_path),))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    problem = libraries.why_no_driver_fits()
    assert (says in problem, bool(problem)) == (True, bool(says))
    if problem:
        assert [report.problem for report in ask(["vulkan", "cuda"], SECONDS)] == [problem, problem]


def test_devices_of_nvidia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path / cuda.DRIVER, CUDA_DRIVER)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (report,) = ask(["cuda"], PATIENT_SECONDS)
    assert report.devices == (
        Device("cuda", 0, "Fake 9000", "discrete", 24 << 30, 20 << 30, "CUDA 13.2"),
        Device("cuda", 1, "Fake 9001", "integrated", 25 << 30, 21 << 30, "CUDA 13.2"),
    )


@pytest.mark.parametrize("name", rocm.RUNTIMES)
def test_devices_of_amd(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in rocm.RUNTIMES:
        (tmp_path / other).write_bytes(b"")
    fake_library(tmp_path / name, HIP_RUNTIME)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (report,) = ask(["rocm"], PATIENT_SECONDS)
    assert report.devices == (
        Device("rocm", 0, "Fake 9000", "discrete", 24 << 30, 20 << 30, "HIP 60443483"),
        Device("rocm", 1, "Fake 9001", "discrete", 25 << 30, 21 << 30, "HIP 60443483"),
    )


@pytest.mark.parametrize(
    ("functions", "says"),
    [
        (CUDA_DRIVER.replace("return flags;", "return 100;", 1), r"no device that works \(cuInit returned 100\)"),
        ("", r"its driver crashed \(exit code 1\)"),
    ],
    ids=["no device", "another library of that name"],
)
def test_nvidia_s_driver_without_a_device(
    functions: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_library(tmp_path / cuda.DRIVER, functions)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (report,) = ask(["cuda"], PATIENT_SECONDS)
    assert not report.devices
    assert re.search(says, report.problem)


def test_a_damaged_memory_is_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_driver(monkeypatch, tmp_path / "none.json")
    (tmp_path / "devices.json").write_bytes(b'{"reports": [["x", 7')
    assert detect(["vulkan"], tmp_path, PATIENT_SECONDS)[0].problem
    assert detect(["vulkan"], tmp_path / "not there", PATIENT_SECONDS)[0].problem


def test_what_the_kernel_shows_and_the_environment_are_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity("vulkan", "program")
    assert identity("vulkan", "program") == before
    assert identity("vulkan", "another") != before
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert identity("vulkan", "program") != before


def test_without_packs_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from runtime.offloading.placing import placements; from runtime.settings import *;"
        "from runtime.engine.weights import Weights; from pathlib import Path;"
        "list(placements(None, GpuSettings(), EngineSettings(), Weights(Path('x'))));"
        "sys.exit(any(name.startswith('runtime.backends') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("own", "system", "loaded"), [(30, 33, True), (33, 30, False), (30, 30, False), (30, None, False)]
)
def test_a_newer_system_s_cxx_library_comes_first(
    own: int, system: int | None, loaded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a driver that was compiled with it could not be loaded beside the frozen one."""
    for folder, version in (("own", own), ("system", system)):
        (tmp_path / folder).mkdir()
        if version is not None:
            names = b"\0".join(b"GLIBCXX_3.4.%d" % n for n in range(version + 1))
            (tmp_path / folder / "libstdc++.so.6").write_bytes(names + b"\0")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path / "own"), raising=False)
    monkeypatch.setattr(libraries, "_FOLDERS", (str(tmp_path / "system"),))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    taken: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name, mode: taken.append(name))  # noqa: ARG005
    system_cxx.prefer_newer_libstdcxx()
    assert taken == ([str(tmp_path / "system" / "libstdc++.so.6")] if loaded else [])
