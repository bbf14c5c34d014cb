"""The `loaf` command as one file: what it does where there is nothing else, and what befalls it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from bundler.sources import hub
from runtime.bundle import open_bundle
from support.bundles import clean_environment, loaf
from support.roots import empty_root
from support.small_bundles import opened_whole
from support.stores import on_hub
from support.web import Site, serving

QUESTION = "Who was the first man on the moon?"
MOON = "Neil Armstrong"


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Caches of this module's own, in an environment in which no Python and no compiler can be found."""
    folder = tmp_path_factory.mktemp("caches")
    own = {"LOAF_BUILD_CACHE": str(folder / "build"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return clean_environment(folder / "launch", **own)


def run(*command: str | Path, env: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
    argv = [str(part) for part in command]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def test_it_builds_where_there_is_only_busybox(builder: Path, demo_gguf: Path, tmp_path: Path) -> None:
    """The first: no C library either, so programs that it asks something take the one that comes along."""
    root = empty_root(tmp_path / "root", builder)
    shutil.copy(demo_gguf, root.path / "root/m.gguf")
    script = (
        "cd /root && ln -s /demo.loaf loaf && ./loaf build m.gguf --temp 0 --quantize Q4_K_M --allow-requantize"
        f" -o q.loaf && ./loaf build m.gguf --temp 0 && ./m.loaf -p '{QUESTION}' && ./loaf run m.gguf -p '{QUESTION}'"
    )
    there = root.run("/bin/sh", "-c", script)
    assert there.returncode == 0, there.stderr
    assert there.stdout.count(MOON) == 2
    assert (root.path / "root/q.loaf").stat().st_size < (root.path / "root/m.loaf").stat().st_size


def test_what_it_builds_is_what_any_loaf_builds(
    builder: Path, demo: Path, caches: dict[str, str], tmp_path: Path
) -> None:
    built = run(builder, "build", "demo", "-o", tmp_path / "demo.loaf", env=caches)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "demo.loaf").read_bytes() == demo.read_bytes()


def test_the_toy_that_sees_is_said_to_be_elsewhere(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    built = run(builder, "build", "demo-vision", "-o", tmp_path / "x.loaf", env=caches)
    assert (built.returncode, built.stdout) == (1, "")
    assert "demo-vision: is not in this file" in built.stderr
    assert "A checkout and the wheel have it" in built.stderr


def test_it_is_small_and_whole(builder: Path) -> None:
    bundle = opened_whole(builder)
    programs = (*bundle.manifest.runtimes, *bundle.manifest.media)
    carried = sum(bundle.spans[one.entry].size for one in programs)
    assert builder.stat().st_size - carried < 15_000_000
    assert [one.platform for one in bundle.manifest.builders] == [one.platform for one in bundle.manifest.runtimes]
    assert "llama-cpp-python" not in {one.name for builder in bundle.manifest.builders for one in builder.packages}
    assert {"huggingface-hub", "pynacl"} <= {
        one.name for builder in bundle.manifest.builders for one in builder.packages
    }


def test_all_commands_are_in_it(builder: Path, demo: Path, caches: dict[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "demo.loaf"
    shutil.copy(demo, copy)
    assert "CycloneDX" in run(builder, "inspect", "--sbom", builder, env=caches).stdout
    assert "builds on" in run(builder, "inspect", builder, env=caches).stdout
    assert "intact" in run(builder, "verify", copy, env=caches).stdout
    assert "has the runtime of loaf" in run(builder, "upgrade", copy, env=caches).stdout
    assert run(builder, "set", copy, "--system", "You are brief.", env=caches).returncode == 0
    assert "You are brief." in run(builder, "inspect", copy, env=caches).stdout
    assert run(builder, "split", copy, "-o", tmp_path / "thin.loaf", env=caches).returncode == 0
    assert run(builder, "models", env=caches).returncode == 0
    doctor = run(builder, "doctor", env=caches)
    assert doctor.returncode == 0
    assert "Nothing is compiled" in doctor.stdout
    assert "llvmpipe" in doctor.stdout or "Vulkan: " in doctor.stdout, "a child of it asks the drivers"


@pytest.mark.parametrize("command", [("runtime", "freeze"), ("runtime", "pack", "vulkan"), ("builder",)])
def test_it_does_not_make_programs(command: tuple[str, ...], builder: Path, caches: dict[str, str]) -> None:
    done = run(builder, *command, env=caches)
    assert done.returncode == 1
    assert "this loaf is one file, which has no Python and no compiler" in done.stderr


def test_it_runs_models_of_the_hub(builder: Path, caches: dict[str, str], tmp_path: Path, demo_gguf: Path) -> None:
    with serving(Site()) as site:
        on_hub(site, {"demo-Q4_K_M.gguf": demo_gguf.read_bytes()})
        environment = caches | {"HF_ENDPOINT": site.address, "HF_HOME": str(tmp_path / "hf")}
        done = run(builder, "run", f"{hub.PREFIX}o/r:Q4_K_M", "-p", QUESTION, env=environment)
    assert done.returncode == 0, done.stderr
    assert MOON in done.stdout
    assert "xet" not in done.stderr.lower()


def test_its_name_and_how_it_is_reached_do_not_matter(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    shutil.copy(builder, tmp_path / "a tool")
    (tmp_path / "link").symlink_to("a tool")
    done = run("./link", "build", "demo", "-o", "d.loaf", env=caches, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    on_path = caches | {"PATH": f"{tmp_path}:{caches['PATH']}"}
    assert run("a tool", "verify", "d.loaf", env=on_path, cwd=tmp_path).returncode == 0


def test_two_builds_at_once(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    """Of one file, into one folder, with caches that neither has filled yet."""
    fresh = caches | {"LOAF_CACHE_DIR": str(tmp_path / "launch"), "LOAF_BUILD_CACHE": str(tmp_path / "build")}
    commands = [[builder, "build", "demo", "--temp", "0", "-o", tmp_path / "demo.loaf"] for _ in range(2)]
    both = [subprocess.Popen(command, env=fresh, stderr=subprocess.PIPE) for command in commands]
    assert [one.wait(timeout=120) for one in both] == [0, 0]
    opened_whole(tmp_path / "demo.loaf")


def test_half_of_it_says_so(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    half = tmp_path / "loaf"
    shutil.copy(builder, half)
    os.truncate(half, half.stat().st_size // 2)
    done = run(half, "--version", env=caches)
    assert done.returncode == 1
    assert "the file is incomplete" in done.stderr


def test_a_damaged_program_in_it_is_not_handed_on(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    damaged = tmp_path / "loaf"
    shutil.copy(builder, damaged)
    bundle = open_bundle(damaged)
    entry = bundle.manifest.runtimes[0].entry
    with damaged.open("r+b") as file:
        file.seek(bundle.spans[entry].offset + 1000)
        file.write(b"????????")
    done = run(damaged, "build", "demo", "-o", tmp_path / "demo.loaf", env=caches)
    assert done.returncode == 1
    assert f"{damaged}: is damaged: {entry} does not have the SHA-256" in done.stderr
    assert not (tmp_path / "demo.loaf").exists()


def test_killed_while_it_builds_it_leaves_nothing(builder: Path, caches: dict[str, str], tmp_path: Path) -> None:
    """While it waits for weights, from a server that never answers."""
    target = tmp_path / "x.loaf"
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/m.gguf"
        process = subprocess.Popen([builder, "build", url, "-o", target], env=caches, stderr=subprocess.DEVNULL)
        connection, _address = server.accept()
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        connection.close()
    assert list(tmp_path.iterdir()) == []
    assert run(builder, "build", "demo", "-o", target, env=caches).returncode == 0


def test_a_full_disk_is_told(builder: Path, tmp_path: Path) -> None:
    root = empty_root(tmp_path / "root", builder)
    disk = "mount -t tmpfs -o size=8m tmpfs ./tmp"
    done = root.run("/demo.loaf", "build", "demo", "-o", "/tmp/d.loaf", before=disk)
    assert done.returncode == 1
    assert "/tmp/d.loaf: needs" in done.stderr
    done = root.run("/demo.loaf", "run", "demo", "-p", "Hi", before=disk, LOAF_BUILD_CACHE="/tmp/b")
    assert done.returncode == 1
    assert "the disk of /tmp/b/program has" in done.stderr


def test_an_upgrade_takes_its_programs(builder: Path, demo: Path, tmp_path: Path) -> None:
    """As --runtime-from does for any other loaf."""
    done = loaf("upgrade", "--runtime-from", str(builder), str(demo))
    assert done.returncode == 0, done.stderr
    assert "has the runtime of loaf" in done.stdout
    built = loaf("build", "demo", "--runtime-from", str(builder), "-o", str(tmp_path / "demo.loaf"))
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "demo.loaf").read_bytes() == demo.read_bytes()
