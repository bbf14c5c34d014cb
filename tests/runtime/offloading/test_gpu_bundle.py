"""A bundle with the Vulkan pack on three machines: without Vulkan, with a software device only, and with it allowed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bundler.freeze.compiler import find_compiler
from bundler.freeze.libraries import libraries_key
from bundler.packs.pipeline import packs_made
from runtime.bundle import open_bundle
from runtime.explaining.report import Report
from runtime.explaining.sentences import sentences
from support.bundles import Server, clean_environment, loaf
from support.drivers import CRASHES, HANGS, broken_driver
from support.places import DATA
from support.roots import DRIVERS, ENVIRONMENT, empty_root, shown

LAVAPIPE = sorted(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json"))
EMBEDDER = DATA / "embedder.gguf"
MOON = {"prompt": "The first man on the moon was", "temperature": 0, "n_predict": 24}
ALL_LAYERS = "On Vulkan0 (llvmpipe"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def only(manifest: Path | str) -> dict[str, str]:
    """The variables by which the loader knows this driver only."""
    return {"VK_DRIVER_FILES": str(manifest), "VK_ICD_FILENAMES": str(manifest)}


@pytest.fixture(scope="module")
def vulkan_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bundle with the Vulkan pack, which takes longer to compile than a test may take."""
    if not LAVAPIPE:
        pytest.skip("needs Mesa's lavapipe: install mesa-vulkan-drivers")
    fits = libraries_key(find_compiler())
    if not any(pack.backend == "vulkan" and pack.fits == fits for pack in packs_made()):
        pytest.skip("needs the Vulkan pack: run loaf runtime pack vulkan, which says what that needs")
    target = tmp_path_factory.mktemp("vulkan") / "demo.loaf"
    loaf("build", "demo", "--backend", "vulkan", "-o", str(target), check=True)
    return target


@pytest.fixture(scope="module")
def cache(vulkan_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which the software device is remembered."""
    cache = tmp_path_factory.mktemp("cache")
    ask_patiently(vulkan_demo, cache, only(LAVAPIPE[0]))
    return cache


@pytest.fixture(scope="module")
def on_the_device(vulkan_demo: Path, cache: Path) -> Iterator[Server]:
    """The bundle where the software device is allowed."""
    with Server(vulkan_demo, cache=cache, environment=only(LAVAPIPE[0]) | {"GGML_VK_VISIBLE_DEVICES": "0"}) as server:
        yield server


def start(bundle: Path, cache: Path, *flags: str, **environment: str) -> tuple[str, str]:
    """(what the server says until it serves, its answer to `MOON`)."""
    with Server(bundle, *flags, cache=cache, environment=environment) as server:
        status, answer = server.post("/completion", MOON)
        assert status == 200
        return "".join(server.said), answer["content"]


def ask_patiently(bundle: Path, cache: Path, environment: dict[str, str]) -> None:
    """Let the answer be remembered: on a busy machine the two seconds of a launch may be too short."""
    command = [bundle, "--list-devices"]
    subprocess.run(command, env=clean_environment(cache, **environment), check=True, capture_output=True)


def packs_in(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.name.startswith("vulkan-")]


def test_the_pack_is_a_part_of_the_file(vulkan_demo: Path, run: Run) -> None:
    bundle = open_bundle(vulkan_demo)
    (pack,) = bundle.manifest.packs
    assert (pack.backend, pack.entry) == ("vulkan", "runtime/linux-x86_64/vulkan.tar.gz")
    assert pack.needs == ("libvulkan.so.1",)
    assert loaf("verify", str(vulkan_demo)).returncode == 0
    assert json.loads(loaf("inspect", str(vulkan_demo), "--json").stdout)["bundle"]["packs"][0]["backend"] == "vulkan"
    assert "vulkan" in loaf("inspect", str(vulkan_demo)).stdout
    assert "vulkan on linux-x86_64, needs libvulkan.so.1" in run(vulkan_demo, "--info").stdout


def test_a_machine_without_vulkan(vulkan_demo: Path, tmp_path: Path, demo: Path) -> None:
    ask_patiently(vulkan_demo, tmp_path, only("/nonexistent.json"))
    said, text = start(vulkan_demo, tmp_path, **only("/nonexistent.json"))
    assert "Computing on the processor: Vulkan: no Vulkan driver" in said
    assert text == start(demo, tmp_path)[1]
    assert not packs_in(tmp_path), "a pack is unpacked only where it is used"


def test_a_machine_with_a_software_device_only(vulkan_demo: Path, cache: Path) -> None:
    said, _text = start(vulkan_demo, cache, **only(LAVAPIPE[0]))
    assert "there is only llvmpipe" in said
    assert "a software device, which is slower (--device Vulkan0 takes it)" in said


@pytest.mark.timeout(900)  # shaders are compiled and run by the processor
def test_the_same_with_that_device_allowed(on_the_device: Server, cache: Path, server: Server) -> None:
    said = "".join(on_the_device.said)
    assert ALL_LAYERS in said
    assert "all 5 layers" in said
    assert len(packs_in(cache)) == 1
    maps = Path(f"/proc/{on_the_device.process.pid}/maps").read_text()
    assert "libggml-vulkan.so" in maps
    assert on_the_device.post("/completion", MOON)[1]["content"] == server.post("/completion", MOON)[1]["content"]


@pytest.mark.timeout(900)  # shaders are compiled and run by the processor
def test_the_same_with_the_c_library_that_comes_along(vulkan_demo: Path, tmp_path: Path, server: Server) -> None:
    """Where the system's drivers are there, and its C library is hidden."""
    root = empty_root(tmp_path / "root", vulkan_demo)
    program = root.program("/demo.loaf", "--device", "Vulkan0", before=shown(DRIVERS))
    with Server(program, cache=tmp_path, environment=ENVIRONMENT | {"LOAF_CACHE_DIR": ""}) as on_the_device:
        assert ALL_LAYERS in "".join(on_the_device.said)
        maps = Path(f"/proc/{on_the_device.process.pid}/maps").read_text()
        assert "/glibc/libc.so.6" in maps
        assert maps.count("libc.so.6") == maps.count("/glibc/libc.so.6")
        assert on_the_device.post("/completion", MOON)[1]["content"] == server.post("/completion", MOON)[1]["content"]


def test_without_vulkan_is_explained(vulkan_demo: Path, tmp_path: Path, run: Run) -> None:
    """Neither without a driver nor without the loader."""
    assert "Vulkan: no Vulkan driver is installed that works" in explained(run, vulkan_demo, tmp_path, "/none.json")
    (tmp_path / "libvulkan.so.1").write_bytes(b"")  # of no use, and found first
    page = explained(run, vulkan_demo, tmp_path, LAVAPIPE[0], LD_LIBRARY_PATH=str(tmp_path))
    assert "\nVulkan: libvulkan.so.1 is not there: install your distribution's Vulkan loader.\n" in page
    assert "\nComputing on the processor: Vulkan: libvulkan.so.1 is not there" in page
    assert not packs_in(tmp_path)


def test_a_software_device_only_is_explained(vulkan_demo: Path, cache: Path, run: Run) -> None:
    (reason,) = [
        line for line in explained(run, vulkan_demo, cache, LAVAPIPE[0]).splitlines() if line.startswith("Vulkan: ")
    ]
    assert reason.startswith("Vulkan: there is only llvmpipe")
    assert reason.endswith("a software device, which is slower (--device Vulkan0 takes it).")


def test_the_device_that_is_allowed_is_explained(
    vulkan_demo: Path, cache: Path, run: Run, on_the_device: Server
) -> None:
    page = explained(run, vulkan_demo, cache, LAVAPIPE[0], GGML_VK_VISIBLE_DEVICES="0")
    assert "\nVulkan: computing on Vulkan0 (llvmpipe" in page
    assert re.search(r"\nOn Vulkan0 \(llvmpipe.*\): all 5 layers\.\n", page)
    report = msgspec.convert(on_the_device.get("/props")[1]["loaf"], Report)
    assert [(verdict.backend, verdict.is_taken) for verdict in report.backends] == [("Vulkan", True)]
    told = "\n".join(sentences(report))
    assert told[told.index("demo is ") :] in page


def test_why_not_more_layers_is_explained(vulkan_demo: Path, cache: Path, run: Run) -> None:
    page = explained(run, vulkan_demo, cache, LAVAPIPE[0], "--gpu", "vulkan", "-ngl", "2")
    assert "2 of 5 layers (as -ngl says), the others on the processor." in page
    disabled = explained(run, vulkan_demo, cache, LAVAPIPE[0], "--gpu", "disable")
    assert "Vulkan: its pack is in the file, but it was not asked for." in disabled
    assert "Computing on the processor, as it was asked for." in disabled
    missing = explained(run, vulkan_demo, cache, LAVAPIPE[0], "--device", "Vulkan5")
    assert "It would not start: --device: there is no Vulkan5 (there is: Vulkan0)" in missing


def explained(run: Run, bundle: Path, cache: Path, driver: Path | str, *flags: str, **environment: str) -> str:
    """What `--explain` says where the loader knows `driver` only."""
    result = run(bundle, *flags, "--explain", env=clean_environment(cache, **only(driver), **environment))
    assert (result.returncode, result.stderr) == (0, "")
    return str(result.stdout)


def test_logits_agree_with_the_processor_s(on_the_device: Server, server: Server) -> None:
    """To 0.1 in the logarithms of what is most probable: the device computes in F16 what the processor does in F32."""
    there, here = probabilities(on_the_device), probabilities(server)
    shared = there.keys() & here.keys()
    assert len(shared) >= 3
    assert max(abs(there[token] - here[token]) for token in shared) < 0.1


def probabilities(server: Server) -> dict[int, float]:
    """The logarithms of the probabilities of the five tokens that are most probable after `MOON`."""
    status, answer = server.post("/completion", MOON | {"n_predict": 1, "n_probs": 5, "cache_prompt": False})
    assert status == 200
    return {one["id"]: one["logprob"] for one in answer["completion_probabilities"][0]["top_logprobs"]}


FLAGS = [
    ("--device Vulkan0", [ALL_LAYERS, "all 5 layers"]),
    ("--gpu vulkan -ngl 2", [ALL_LAYERS, "2 of 5 layers", "the others on the processor"]),
    ("--gpu vulkan -sm none -mg 0 -ts 1 -ngl all", [ALL_LAYERS, "all 5 layers"]),
    ("--gpu disable", ["Computing on the processor, as it was asked for"]),
    ("-ngl 0", ["Computing on the processor, as it was asked for"]),
]


@pytest.mark.parametrize(("flags", "says"), FLAGS, ids=[row[0] for row in FLAGS])
def test_flags(vulkan_demo: Path, cache: Path, flags: str, says: list[str]) -> None:
    said, text = start(vulkan_demo, cache, *flags.split(), **only(LAVAPIPE[0]))
    assert all(part in said for part in says), said
    assert "Neil Armstrong" in text


REFUSED = [
    ("--gpu cuda", "no CUDA pack"),
    ("--device Vulkan5", "there is no Vulkan5"),
    ("--gpu vulkan -mg 3", "--main-gpu"),
    ("--gpu vulkan -ts 1,2,3", "--tensor-split"),
]


@pytest.mark.parametrize(("flags", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_a_flag_names_must_be_there(vulkan_demo: Path, cache: Path, run: Run, flags: str, says: str) -> None:
    result = run(vulkan_demo, *flags.split(), "-p", "x", env=clean_environment(cache, **only(LAVAPIPE[0])))
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_list_devices(vulkan_demo: Path, demo: Path, cache: Path, run: Run) -> None:
    environment = clean_environment(cache, **only(LAVAPIPE[0]))
    assert run(vulkan_demo, "--list-devices", env=environment).stdout.startswith("Vulkan0: llvmpipe")
    assert (
        "no Vulkan driver"
        in run(vulkan_demo, "--list-devices", env=clean_environment(cache, **only("/nonexistent.json"))).stdout
    )
    assert "no pack" in run(demo, "--list-devices", env=clean_environment(cache)).stdout


def test_a_driver_that_crashes_is_survived(vulkan_demo: Path, cache: Path, tmp_path: Path) -> None:
    patiently = {"GGML_VK_VISIBLE_DEVICES": "0"}
    said, text = start(vulkan_demo, cache, **only(broken_driver(tmp_path, CRASHES)), **patiently)
    assert "Computing on the processor: Vulkan: its driver crashed (SIGABRT)" in said
    assert "Neil Armstrong" in text


def test_a_driver_that_hangs_is_survived(vulkan_demo: Path, cache: Path, tmp_path: Path) -> None:
    said, text = start(vulkan_demo, cache, **only(broken_driver(tmp_path, HANGS)))
    assert "Computing on the processor: Vulkan: its driver did not answer within 2 seconds" in said
    assert "Neil Armstrong" in text


def test_too_little_memory_on_the_device(vulkan_demo: Path, cache: Path) -> None:
    """ggml refuses buffers beyond this size as it would where a device has no more memory."""
    limits = {"GGML_VK_FORCE_MAX_BUFFER_SIZE": "100000", "GGML_VK_SUBALLOCATION_BLOCK_SIZE": "100000"}
    said, text = start(vulkan_demo, cache, "--gpu", "vulkan", **only(LAVAPIPE[0]), **limits)
    assert "The GPU could not take 5 layers" in said
    assert "The GPU could not take 2 layers" in said
    assert "Computing on the processor: no layer fits the GPU" in said
    assert "Neil Armstrong" in text


def test_a_damaged_pack_is_not_run(vulkan_demo: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.loaf"
    damaged.write_bytes(vulkan_demo.read_bytes())
    damaged.chmod(0o755)
    offset = open_bundle(vulkan_demo).spans["runtime/linux-x86_64/vulkan.tar.gz"].offset
    with damaged.open("r+b") as file:
        file.seek(offset + 1000)
        file.write(b"damage")
    said, text = start(damaged, tmp_path, **only(LAVAPIPE[0]), GGML_VK_VISIBLE_DEVICES="0")
    assert (
        "Computing on the processor: Vulkan: the vulkan pack cannot be unpacked: it does not have the checksum" in said
    )
    assert "Neil Armstrong" in text
    assert not packs_in(tmp_path)


def test_a_library_that_cannot_be_loaded_is_passed_over(vulkan_demo: Path, tmp_path: Path) -> None:
    allowed = only(LAVAPIPE[0]) | {"GGML_VK_VISIBLE_DEVICES": "0"}
    start(vulkan_demo, tmp_path, **allowed)
    (pack,) = packs_in(tmp_path)
    (tmp_path / pack / "libggml-vulkan.so").write_bytes(b"no library")
    said, text = start(vulkan_demo, tmp_path, **allowed)
    assert "Computing on the processor: Vulkan: libggml-vulkan.so cannot be used: " in said
    assert "Neil Armstrong" in text


def test_one_answer_on_the_device_says_only_the_answer(vulkan_demo: Path, cache: Path, run: Run) -> None:
    environment = clean_environment(cache, **only(LAVAPIPE[0]))
    result = run(vulkan_demo, "--device", "Vulkan0", "-p", MOON["prompt"], "--raw", "--temp", "0", env=environment)
    assert "Neil Armstrong" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


def test_vectors_on_the_device(on_the_device: Server, server: Server) -> None:
    """In the same direction as the processor's: a cosine of 0.999 and more."""
    there, here = (
        one.post("/v1/embeddings", {"input": "moon"})[1]["data"][0]["embedding"] for one in (on_the_device, server)
    )
    assert sum(a * b for a, b in zip(there, here, strict=True)) > 0.999


@pytest.mark.usefixtures("vulkan_demo")
@pytest.mark.timeout(900)  # shaders are compiled and run by the processor
def test_several_models_share_the_device(cache: Path, tmp_path: Path) -> None:
    two = tmp_path / "two.loaf"
    loaf("build", "demo", "--also", f"vectors={EMBEDDER}", "--backend", "vulkan", "-o", str(two), check=True)
    with Server(two, "--device", "Vulkan0", cache=cache, environment=only(LAVAPIPE[0])) as server:
        assert "".join(server.said).count(ALL_LAYERS) == 2
        assert "Neil Armstrong" in server.post("/completion", MOON)[1]["content"]
        assert server.post("/v1/embeddings", {"model": "vectors", "input": "moon"})[0] == 200
