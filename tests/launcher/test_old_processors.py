"""The frozen program on processors that lack what this one has, emulated instruction by instruction.

qemu emulates one process and not what it starts, and the frozen program starts itself anew to find its libraries: so
it is started as if it had done that (PyInstaller's bootloader, pyi_main.c).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.bundles import clean_environment

QEMU = shutil.which("qemu-x86_64")
OLDEST = "qemu64"

pytestmark = pytest.mark.skipif(QEMU is None, reason="needs qemu's emulation of processes: install qemu-user")


@pytest.fixture(scope="module")
def with_avx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is nothing but an instruction of AVX."""
    folder = tmp_path_factory.mktemp("avx")
    (folder / "avx.c").write_text('int main(void) { __asm__("vxorps %ymm0, %ymm0, %ymm0"); return 0; }\n')
    subprocess.run(["cc", "-o", folder / "avx", folder / "avx.c"], check=True)
    return folder / "avx"


def emulated(processor: str, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`command` on that processor; `environment` is the command's, not qemu's own."""
    variables = [part for name, value in environment.items() for part in ("-E", f"{name}={value}")]
    argv = [str(QEMU), "-cpu", processor, *variables, *map(str, command)]
    return subprocess.run(argv, capture_output=True, text=True, env=clean_environment(), timeout=120)


def launched(processor: str, bundle: Path, cache: Path, *flags: str) -> str:
    """What the program in `cache` writes to standard output."""
    (program,) = cache.glob("core-*/loaf-runtime")
    result = emulated(
        processor,
        program,
        *flags,
        LOAF_BUNDLE=str(bundle),
        LD_LIBRARY_PATH=str(program.parent / "_internal"),
        _PYI_ARCHIVE_FILE=str(program),
        _PYI_PARENT_PROCESS_LEVEL="-1",
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_what_is_emulated_has_no_avx(with_avx: Path) -> None:
    assert emulated("Haswell", with_avx).returncode == 0
    assert emulated(OLDEST, with_avx).returncode != 0


def test_the_oldest_processor_answers(demo: Path, warm_cache: Path) -> None:
    flags = ["--temp", "0", "--threads", "1", "-p", "Who was the first man on the moon?"]
    assert "Neil Armstrong" in launched(OLDEST, demo, warm_cache, *flags)


@pytest.mark.parametrize(
    ("processor", "variant"), [(OLDEST, "x64"), ("Nehalem", "sse42"), ("SandyBridge", "sandybridge")]
)
def test_each_gets_what_it_can_run(processor: str, variant: str, demo: Path, warm_cache: Path) -> None:
    assert f" computes with {variant}, " in launched(processor, demo, warm_cache, "--explain")
