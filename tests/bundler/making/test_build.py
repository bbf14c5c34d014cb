"""`loaf build`, `inspect`, `extract` and `verify`, as commands on real files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle import ALIGNMENT, open_bundle
from support.bundles import loaf
from support.ggufs import LLAMA, TENSORS, string, tensor_info, value, write_gguf, write_split

F16 = 1
"""ggml's id of the type."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_weights_come_back_byte_for_byte(demo: Path, demo_gguf: Path) -> None:
    with zipfile.ZipFile(demo) as archive:
        assert archive.testzip() is None
        assert archive.read("models/demo.gguf") == demo_gguf.read_bytes()


@pytest.mark.parametrize("command", [["unzip", "-tqq"], ["7z", "t"], ["bsdtar", "-tf"]], ids=lambda c: c[0])
def test_other_programs_read_it(demo: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        package = {"unzip": "unzip", "7z": "p7zip-full", "bsdtar": "libarchive-tools"}[command[0]]
        pytest.skip(f"needs {command[0]}: install the package {package}")
    subprocess.run([*command, str(demo)], check=True, capture_output=True)


def test_what_is_mapped_is_aligned(demo: Path) -> None:
    bundle = open_bundle(demo)
    for name in ("models/demo.gguf", "runtime/linux-x86_64/core.tar.gz"):
        assert bundle.spans[name].offset % ALIGNMENT == 0


def test_a_file_is_little_larger_than_its_weights(demo: Path, demo_gguf: Path) -> None:
    """With all variants for processors; with the first ones alone it is smaller."""
    assert demo.stat().st_size - demo_gguf.stat().st_size < 23_000_000


def test_two_builds_are_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    again = tmp_path / "elsewhere" / "other name.loaf"
    loaf("build", "demo", "-o", str(again), check=True, cwd=tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(demo.read_bytes()).digest()


def test_nothing_of_this_machine_is_in_it(demo: Path) -> None:
    text = demo.read_bytes()[:ALIGNMENT]
    assert str(Path.home()).encode() not in text
    assert str(Path.cwd()).encode() not in text


def test_options_end_up_inside(demo_gguf: Path, tmp_path: Path, run: Run) -> None:
    target = tmp_path / "x.loaf"
    result = loaf(
        "build", str(demo_gguf), "-o", str(target), "--name", "my model", "--args", "--temp 0 # greedy",
        "--system", "You are terse.",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    bundle = open_bundle(target)
    assert bundle.manifest.name == "my model"
    assert bundle.args == "--temp 0 # greedy"
    assert bundle.manifest.system == "You are terse."
    assert "You are terse." in run(target, "--info").stdout


def test_the_default_name_is_the_model_s(demo_gguf: Path, tmp_path: Path) -> None:
    shutil.copy(demo_gguf, tmp_path / "tiny.gguf")
    assert loaf("build", "tiny.gguf", cwd=tmp_path).returncode == 0
    assert os.access(tmp_path / "tiny.loaf", os.X_OK)
    assert open_bundle(tmp_path / "tiny.loaf").manifest.models[0].entry == "models/tiny.gguf"


def test_odd_names_become_safe_ones(demo_gguf: Path, tmp_path: Path) -> None:
    for source, name, expected in [
        ("back\\slash.gguf", None, "back_slash"),
        ("bytes\udcff.gguf", None, "bytes_"),
        ("x.gguf", "org/model 1", "org_model_1"),
    ]:
        shutil.copy(demo_gguf, tmp_path / source)
        flags = ["--name", name] if name else []
        result = loaf("build", source, *flags, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert loaf("extract", f"{expected}.loaf", "-o", f"{expected}.d", cwd=tmp_path).returncode == 0
        assert (tmp_path / f"{expected}.d" / "models").is_dir()


def test_a_part_of_the_weights_is_not_overwritten(tmp_path: Path) -> None:
    parts = write_split(tmp_path / "m", [TENSORS[:1], TENSORS[1:]])
    before = parts[1].read_bytes()
    result = loaf("build", str(parts[0]), "-o", str(parts[1]))
    assert result.returncode == 1
    assert "is the file with the weights" in result.stderr
    assert parts[1].read_bytes() == before


def test_a_bundle_without_an_ending_is_extracted_beside_itself(demo: Path, tmp_path: Path) -> None:
    shutil.copy(demo, tmp_path / "demo")
    assert loaf("extract", "demo", cwd=tmp_path).returncode == 0
    assert (tmp_path / "demo.d" / "manifest.json").is_file()


def test_a_split_model_is_merged(tmp_path: Path) -> None:
    """Two parts, as gguf-split names them, give the bundle that the whole gives."""
    parts = write_split(tmp_path / "m", [TENSORS[:1], TENSORS[1:]])
    result = loaf("build", str(parts[0]), "-o", str(tmp_path / "m.loaf"))
    assert result.returncode == 0, result.stderr
    whole = write_gguf(tmp_path / "whole.gguf", LLAMA, TENSORS)
    with zipfile.ZipFile(tmp_path / "m.loaf") as archive:
        assert archive.read("models/m.gguf") == whole.read_bytes()


FAILURES: list[tuple[str, list[str], str, int]] = [
    ("no such file", ["build", "missing.gguf"], "missing.gguf: no such file", 1),
    ("a folder", ["build", "."], "could be any of", 1),
    ("not a GGUF", ["build", "text.gguf"], "text.gguf", 1),
    ("a truncated GGUF", ["build", "short.gguf"], "short.gguf", 1),
    ("the source as target", ["build", "good.gguf", "-o", "good.gguf"], "-o", 1),
    ("a folder as target", ["build", "good.gguf", "-o", "."], "is not a file", 1),
    ("a device as target", ["build", "good.gguf", "-o", "/dev/null"], "is not a file", 1),
    ("a name of two lines", ["build", "good.gguf", "--name", "a\nb"], "--name", 1),
    ("a name without end", ["build", "good.gguf", "--name", "x" * 70_000], "--name", 1),
    ("bytes that are no text", ["build", "good.gguf", "--system", "\udcff"], "--system", 1),
    ("a folder that is not there", ["build", "good.gguf", "-o", "no/x.loaf"], "no", 1),
    ("an open quote in --args", ["build", "good.gguf", "--args", "-p 'x"], "not ended", 1),
    ("an unknown flag", ["build", "good.gguf", "--nmae", "x"], "--name", 2),
    ("an unknown command", ["biuld"], "biuld", 2),
    ("verify a GGUF", ["verify", "good.gguf"], "not a loaf bundle", 1),
    ("verify nothing", ["verify", "missing"], "missing", 1),
    ("inspect nothing", ["inspect", "missing"], "missing", 1),
]


@pytest.fixture
def folder(tmp_path: Path, demo_gguf: Path) -> Path:
    """A good GGUF, a short one and one that is none."""
    shutil.copy(demo_gguf, tmp_path / "good.gguf")
    (tmp_path / "short.gguf").write_bytes(demo_gguf.read_bytes()[:200_000])
    (tmp_path / "text.gguf").write_text("These are not the weights that you are looking for.")
    return tmp_path


@pytest.mark.parametrize(("command", "says", "code"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_are_told(folder: Path, command: list[str], says: str, code: int) -> None:
    before = sorted(folder.iterdir())
    result = loaf(*command, cwd=folder)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(folder.iterdir()) == before, "something was left behind"


def test_a_full_disk_keeps_the_old_file(demo: Path, demo_gguf: Path, tmp_path: Path) -> None:
    """On a tmpfs with room for one bundle only, a second build fails and the first still is whole."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces: sysctl kernel.unprivileged_userns_clone=1, or run as root")
    room = demo.stat().st_size + 2_000_000
    script = f"""
        mount -t tmpfs -o size={room} none {tmp_path} && cp {demo} {tmp_path}/x.loaf || exit 9
        {Path(sys.executable).with_name("loaf")} build {demo_gguf} -o {tmp_path}/x.loaf; code=$?
        cmp {demo} {tmp_path}/x.loaf && ls -A {tmp_path} && exit $code
    """
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert result.stdout.split() == ["x.loaf"]
    assert "free" in result.stderr


def test_a_file_that_is_no_bundle_stays_unless_forced(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, eggs")
    refused = loaf("build", "demo", "-o", str(notes))
    assert (refused.returncode, notes.read_text()) == (1, "milk, eggs")
    assert refused.stderr.startswith(f"error: {notes}: is there already, and is no bundle\n")
    assert "--force" in refused.stderr
    loaf("build", "demo", "-o", str(notes), "--force", check=True)
    loaf("build", "demo", "-o", str(notes), check=True)  # now it is a bundle
    notes.write_bytes(b"")
    loaf("build", "demo", "-o", str(notes), check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_an_interrupted_build_leaves_the_old_file(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted while it writes a large file: the old one is there, and nothing else."""
    source, target = tmp_path / "large.gguf", tmp_path / "x.loaf"
    write_large(source, 2 * 1024**3)
    target.write_text("the old one")
    build = subprocess.Popen(
        [str(Path(sys.executable).with_name("loaf")), "build", str(source), "--force", "-o", str(target)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert build.stderr is not None
    for line in build.stderr:
        if "Writing" in line:
            break
    build.send_signal(number)
    build.communicate(timeout=60)
    assert build.returncode == (-9 if number == signal.SIGKILL else 130)
    assert target.read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.gguf", "x.loaf"]


def test_inspect_says_the_same_of_the_gguf_and_the_bundle(demo: Path, demo_gguf: Path) -> None:
    of_gguf = json.loads(loaf("inspect", "--json", str(demo_gguf), check=True).stdout)["models"][0]
    of_bundle = json.loads(loaf("inspect", "--json", str(demo), check=True).stdout)
    model = of_bundle["models"][0]
    for name in ("architecture", "parameter_count", "quantization", "context_length", "license", "memory"):
        assert model[name] == of_gguf[name]
    assert model["architecture"] == "llama"
    assert model["context_length"] >= 2048
    assert [need["context"] for need in model["memory"]][-1] == model["context_length"]
    assert of_bundle["bundle"]["entries"]["models/demo.gguf"]["size"] == demo_gguf.stat().st_size


def test_inspect_for_people(demo: Path) -> None:
    text = loaf("inspect", str(demo), check=True).stdout
    for word in ("architecture", "parameters", "quantization", "context", "chat template", "licence", "memory at"):
        assert word in text


def test_extract_gives_every_part(demo: Path, demo_gguf: Path, tmp_path: Path) -> None:
    result = loaf("extract", str(demo), "-o", str(tmp_path / "parts"))
    assert result.returncode == 0, result.stderr
    parts = tmp_path / "parts"
    assert (parts / "models" / "demo.gguf").read_bytes() == demo_gguf.read_bytes()
    assert json.loads((parts / "manifest.json").read_text())["name"] == "demo"
    assert len(result.stdout.splitlines()) == len(open_bundle(demo).spans)


def test_verify_finds_nothing_wrong(demo: Path) -> None:
    result = loaf("verify", str(demo))
    assert (result.returncode, "intact" in result.stdout) == (0, True), result.stderr


def test_verify_names_the_damaged_part(demo: Path, tmp_path: Path) -> None:
    bundle = open_bundle(demo)
    core = "runtime/linux-x86_64/core.tar.gz"
    places = {
        "launcher": 100,
        "models/demo.gguf": bundle.spans["models/demo.gguf"].offset + 1000,
        core: bundle.spans[core].offset + bundle.spans[core].size - 1,
        "manifest.json": demo.read_bytes().index(b'"loaf":') + 10,
    }
    for part, offset in places.items():
        damaged = flip(demo, tmp_path / "x.loaf", offset)
        result = loaf("verify", str(damaged))
        assert result.returncode == 1
        assert part in result.stderr, part


def test_no_changed_byte_goes_unnoticed(demo: Path, tmp_path: Path) -> None:
    """Anywhere: contents, headers, padding between entries, the directory."""
    from bundler.looking.verify import verify
    from runtime.bundle import BundleError

    size, chance = demo.stat().st_size, random.Random(1)
    core = open_bundle(demo).spans["runtime/linux-x86_64/core.tar.gz"]
    outside_core = [*range(ALIGNMENT - 50, ALIGNMENT + 50), *range(core.offset + core.size, size)]
    for offset in [*chance.sample(range(size), 10), *chance.sample(outside_core, 40)]:
        damaged = flip(demo, tmp_path / "x.loaf", offset)
        with contextlib.suppress(BundleError):
            assert verify(open_bundle(damaged), lambda _n: None), f"byte {offset} was changed"


def test_a_cut_bundle_says_how_much_is_missing(demo: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.loaf"
    cut.write_bytes(demo.read_bytes()[:-1_000_000])
    for command in ("verify", "inspect", "extract"):
        result = loaf(command, str(cut), cwd=tmp_path)
        assert result.returncode == 1
        assert "1,000,000 are missing" in result.stderr


def flip(bundle: Path, target: Path, offset: int) -> Path:
    """A copy of `bundle` with one bit changed."""
    shutil.copy(bundle, target)
    with target.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    return target


def write_large(path: Path, size: int) -> None:
    """A valid GGUF of about `size` bytes that takes no room on disk: one tensor of zeros."""
    shape = (4096, size // 8192)
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, len(LLAMA))
    header += b"".join(string(key) + value(item) for key, item in LLAMA.items())
    header += tensor_info("output.weight", shape, F16, 0)
    header += bytes(-len(header) % 32)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 2 * shape[0] * shape[1])


def test_the_environment_is_not_needed(demo: Path, tmp_path: Path) -> None:
    """`--version` with nothing but a path to the system's own programs."""
    environment = {"PATH": "/usr/bin:/bin", "LOAF_CACHE_DIR": str(tmp_path / "cache")}
    result = subprocess.run([demo, "--version"], env=environment, capture_output=True, text=True)
    assert result.stdout.startswith("demo.loaf, loaf "), result.stderr
