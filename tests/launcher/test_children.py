"""What the program starts on other systems: itself, drivers' questions, and programs that are not its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.bundles import Server
from support.drivers import CUDA_DRIVER, fake_library
from support.roots import DRIVERS, ENVIRONMENT, Root, musl_root, shown
from support.waiting import wait_until
from support.workers import Worker, wait_until_said

INSIDE = ENVIRONMENT | {"LOAF_CACHE_DIR": ""}
MOON = {"prompt": "The first man on the moon was", "temperature": 0, "n_predict": 24}


def test_it_begins_anew(demo: Path, warm_cache: Path, empty: Root, tmp_path: Path) -> None:
    """As the process that it was, with huge pages as before."""
    with Worker(demo, "--port", "0", cache=warm_cache) as worker:
        port = worker.address.partition(":")[2]
        server = Server(empty.program("/demo.loaf"), "--rpc", worker.address, "--port", free_port(), cache=tmp_path,
                        environment=INSIDE)  # fmt: skip
        with server:
            assert tunables(server) == "glibc.malloc.hugetlb=1"
            worker.process.kill()
            wait_until_said(server, "is lost")
            with Worker(demo, "--port", port, cache=warm_cache):
                wait_until_said(server, "beginning anew")
                wait_until_said(server, "Serving on", times=2)
                assert "Neil Armstrong" in server.post("/completion", MOON)[1]["content"]
                assert tunables(server) == "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("environment", [{}, {"LD_LIBRARY_PATH": "/users", "GLIBC_TUNABLES": "glibc.malloc.perturb=0"}])
def test_a_browser_gets_the_user_s_environment(empty: Root, environment: dict[str, str]) -> None:
    """The C library that came along is nothing to it: it has its own."""
    browser = empty.path / "bin/browser"
    browser.write_text("#!/bin/sh\nenv >/tmp/opened.part; mv /tmp/opened.part /tmp/opened\n")
    browser.chmod(0o755)
    users = environment | {"DISPLAY": ":99", "BROWSER": "/bin/browser"}
    process = subprocess.Popen(
        empty.command("/demo.loaf", "--port", "0"), env=ENVIRONMENT | users, stderr=subprocess.DEVNULL
    )
    opened = empty.path / "tmp/opened"
    try:
        wait_until(opened.exists, 60)
        given = dict(line.partition("=")[::2] for line in opened.read_text().splitlines())
    finally:
        process.terminate()
        process.wait(timeout=20)
        browser.unlink()
        opened.unlink()
    shells = {"PWD", "SHLVL", "OLDPWD", "_"}
    assert {name: value for name, value in given.items() if name not in shells} == ENVIRONMENT | users


def test_an_old_system_s_drivers_are_loaded(debian: Root) -> None:
    """Mesa's software device, which was made for an older C library than ours, and says how old it is itself."""
    explained = debian.run("/demo.loaf", "--explain").stdout
    assert "of its own" in explained
    assert "Vulkan: none of its devices knows Vulkan 1.2" in explained


def test_drivers_of_this_system_are_loaded(empty: Root) -> None:
    """Where its C library is hidden: a device is found through the loader, its manifest and its driver."""
    if not list(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json")):
        pytest.skip("needs Mesa's lavapipe: install mesa-vulkan-drivers")
    explained = empty.run("/demo.loaf", "--explain", before=shown(DRIVERS)).stdout
    assert "of its own" in explained
    assert "Vulkan: this machine has llvmpipe" in explained


def test_nvidia_s_driver_is_found_where_its_containers_have_it(empty: Root) -> None:
    folder = empty.path / "usr/local/nvidia/lib64"
    folder.mkdir(parents=True)
    fake_library(folder / "libcuda.so.1", CUDA_DRIVER)
    explained = empty.run("/demo.loaf", "--explain").stdout
    shutil.rmtree(empty.path / "usr/local")
    assert "CUDA: this machine has Fake 9000 (discrete) and Fake 9001 (integrated)" in explained


def test_a_driver_that_is_made_for_musl_is_left_alone(demo: Path, tmp_path: Path) -> None:
    """Two C libraries in one process end it, or worse."""
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        pytest.skip("needs musl-gcc: apt-get install musl-tools")
    root = musl_root(tmp_path / "musl", demo)
    source = '#include <stdio.h>\n__attribute__((constructor)) static void start(void) { puts("it runs"); }\n'
    (root.path / "usr/lib").mkdir()
    for name in ("libvulkan.so.1", "libcuda.so.1", "libstdc++.so.6"):
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", root.path / "usr/lib" / name]
        subprocess.run(command, input=source, text=True, check=True)
    explained = root.run("/demo.loaf", "--explain")
    assert (explained.returncode, explained.stderr, "it runs" in explained.stdout) == (0, "", False)
    assert explained.stdout.count("made for the C library musl") == 1


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return str(reserved.getsockname()[1])


def tunables(server: Server) -> str:
    environment = Path(f"/proc/{server.process.pid}/environ").read_text().split("\0")
    return next(line.partition("=")[2] for line in environment if line.startswith("GLIBC_TUNABLES="))
