"""Packs: what compiling one takes, and what is said where that is not there.

`tests/runtime/offloading/test_gpu_bundle.py` runs one.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from bundler.errors import NoSuchPack, ToolchainMissing
from bundler.packs import find_recipe, listing, toolchains
from bundler.packs.recipes import RECIPES
from bundler.packs.toolchains import find_cuda, find_metal, find_rocm, find_vulkan
from runtime.bundle import Manifest, open_bundle
from support.bundles import loaf

HEADER = """\
#define VK_HEADER_VERSION {patch}
#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)
"""


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Vulkan SDK, whole but for what is in its files, and the only one there is."""
    for name in ("include/vulkan/vulkan_core.h", "include/spirv/unified1/spirv.hpp", "lib/libvulkan.so", "bin/glslc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho shaderc 2025.2\n")
        path.chmod(0o755)
    (tmp_path / "include/vulkan/vulkan_core.h").write_text(HEADER.format(patch=283))
    monkeypatch.setattr(toolchains, "_vulkan_roots", lambda: [tmp_path])
    monkeypatch.setenv("PATH", "/nonexistent")
    return tmp_path


def test_a_whole_sdk(sdk: Path) -> None:
    found = find_vulkan()
    assert found.version == "Vulkan 1.3.283, shaderc 2025.2"
    assert found.flags == (f"-DCMAKE_PREFIX_PATH={sdk}",)


MISSING = [
    ("include/vulkan/vulkan_core.h", "Vulkan's headers"),
    ("include/spirv/unified1/spirv.hpp", "SPIRV-Headers"),
    ("lib/libvulkan.so", "libvulkan.so"),
    ("bin/glslc", "glslc"),
]


@pytest.mark.parametrize(("name", "says"), MISSING)
def test_what_is_missing_is_named(sdk: Path, name: str, says: str) -> None:
    (sdk / name).unlink()
    with pytest.raises(ToolchainMissing, match=says) as told:
        find_vulkan()
    assert len(told.value.missing) == 1
    assert "apt install" in told.value.hint


def test_headers_that_are_too_old(sdk: Path) -> None:
    (sdk / "include/vulkan/vulkan_core.h").write_text(HEADER.format(patch=239))
    with pytest.raises(ToolchainMissing, match=r"1\.3\.283 or newer .* are 1\.3\.239"):
        find_vulkan()


@pytest.mark.parametrize("variable", ["CUDA_HOME", "ROCM_PATH"])
def test_toolkits_that_are_not_there(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("PATH", "/nonexistent")
    find, compiler = {"CUDA_HOME": (find_cuda, "nvcc"), "ROCM_PATH": (find_rocm, "hipcc")}[variable]
    with pytest.raises(ToolchainMissing, match=compiler) as told:
        find()
    assert variable in told.value.hint


@pytest.fixture
def cuda_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """NVIDIA's toolkit as it lies on disk, and the only one there is."""
    for name in ("bin/nvcc", "lib64/libcublas.so", "lib64/stubs/libcuda.so"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho nvcc: NVIDIA\necho Build cuda_13.0\n")
        path.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(toolchains, "_SYSTEM", tmp_path / "nothing")
    return tmp_path


def test_a_whole_cuda_toolkit(cuda_toolkit: Path) -> None:
    found = find_cuda()
    assert found.version == "Build cuda_13.0"
    assert found.flags == (f"-DCMAKE_CUDA_COMPILER={cuda_toolkit}/bin/nvcc",)


@pytest.mark.parametrize(
    ("name", "says"),
    [("bin/nvcc", "nvcc"), ("lib64/libcublas.so", "libcublas"), ("lib64/stubs/libcuda.so", "stub of libcuda")],
)
def test_what_the_toolkit_lacks_is_named(cuda_toolkit: Path, name: str, says: str) -> None:
    (cuda_toolkit / name).unlink()
    with pytest.raises(ToolchainMissing, match=says) as told:
        find_cuda()
    assert len(told.value.missing) == 1


def test_metal_is_refused() -> None:
    with pytest.raises(ToolchainMissing, match="macOS"):
        find_metal()


def test_chips_are_told_to_cmake() -> None:
    assert "-DCMAKE_CUDA_ARCHITECTURES=86-real;90-virtual" in find_recipe("cuda:86-real;90-virtual").flags
    assert not any("ARCHITECTURES" in flag for flag in find_recipe("cuda").flags)


@pytest.mark.parametrize("wanted", ["opencl", "vulkan:86", "cuda:", "", "rpc"])
def test_what_there_is_no_pack_for(wanted: str) -> None:
    with pytest.raises(NoSuchPack):
        find_recipe(wanted)


def test_the_list_names_every_backend() -> None:
    listed = loaf("runtime", "list")
    assert listed.returncode == 0, listed.stderr
    for recipe in RECIPES:
        assert f"\n{recipe.backend} " in f"\n{listed.stdout}"


def test_packs_that_are_not_used_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {
        "backend": "vulkan",
        "platform": "linux-x86_64",
        "size": 1,
        "unpacked_size": 2,
        "needs": (),
        "made_with": "",
    }
    made = [SimpleNamespace(fits=it, **facts) for it in ("old", "new", "older")]
    monkeypatch.setattr(listing, "find_compiler", lambda: None)
    monkeypatch.setattr(listing, "libraries_key", lambda _compiler: "new")
    monkeypatch.setattr(listing, "packs_made", lambda: made)
    told = [line for line in listing.describe_packs() if line.startswith("  ")]
    assert len(told) == 2
    assert "linux-x86_64" in told[0]
    assert told[1] == "  2 made for other versions of llama.cpp or of the compiler, which are not used"


def test_a_missing_toolkit_is_told_before_anything_is_built(tmp_path: Path) -> None:
    result = loaf("build", "demo", "--backend", "metal", "-o", str(tmp_path / "x.loaf"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: the metal pack cannot be compiled here: missing macOS")
    assert not any(tmp_path.iterdir())


def test_bundles_from_before_there_were_packs_open(demo: Path) -> None:
    content = msgspec.to_builtins(open_bundle(demo).manifest)
    del content["packs"]
    assert msgspec.convert(content, Manifest).packs == ()
