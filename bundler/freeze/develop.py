"""Makes the checkout's own environment: the project, its tools, and the packages of the runtime.

Knows what scripts/setup runs, in this order: `state`, `project FOLDER`, `runtime` with the environment's
own Python, then `page`. Refuses to know when it has to be done again: scripts/setup compares states.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from bundler.freeze.compiler import find_compiler
from bundler.freeze.environment import check_python
from bundler.freeze.packages import install, new_environment, pip
from bundler.freeze.page import MODULES, built_page, npm_packages
from bundler.freeze.pins import LLAMA, pins
from bundler.freeze.wheel import RECIPE, compiled_wheel
from bundler.paths import page_dir, page_source_dir
from bundler.progress import Progress, progress_for
from bundler.store.cache import key_of, log_file
from runtime.errors import LoafError

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Does one of the steps; an error is told in its own words and ends in exit code 1."""
    try:
        match arguments:
            case ["state"]:
                print(state())
            case ["project", folder]:
                install_project(Path(folder), progress_for())
            case ["runtime"]:
                install_runtime(progress_for())
            case ["page"]:
                install_page(progress_for())
            case _:
                raise LoafError(f"unknown step: {' '.join(arguments)}", "run scripts/setup")
    except LoafError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or CHECKOUT}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def state() -> str:
    """A key that changes when the environment has to be made again.

    Raises CompilerMissing and PythonUnsuitable, so that these are known before anything is downloaded.
    """
    compiler = find_compiler()
    check_python()
    return key_of(
        project=(CHECKOUT / "pyproject.toml").read_text(),
        compiler=repr(compiler),
        recipe=RECIPE,
        python=f"{sys.version} {sys.base_prefix}",
        system=f"{platform.machine()} {platform.libc_ver()} {CHECKOUT}",
    )


def install_project(folder: Path, progress: Progress) -> None:
    """Makes the environment `folder`, with this checkout and what tests and checks it."""
    log = log_file("setup")
    log.unlink(missing_ok=True)
    if not (folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
    with progress.step("Installing the project and its tools", None, "steps") as advance:
        pip(
            new_environment(folder, log),
            ["install", "--editable", f"{CHECKOUT}[test,check,freeze,media]"],
            step="installing the project",
            wanted="the project's tools",
            log=log,
            on_line=lambda line: advance(line.startswith("Collecting")),
        )


def install_runtime(progress: Progress) -> None:
    """Compiles llama-cpp-python and installs it, with all that is frozen, where this Python belongs."""
    wheel = compiled_wheel(progress)
    others = [pin for pin in pins("runtime") if not pin.startswith(f"{LLAMA}==")]
    python, log = Path(sys.executable), log_file("setup")
    install(python, others, what="the runtime's packages", log=log, progress=progress)
    install(python, [wheel], what="the compiled wheel", log=log, progress=progress, again=True)


def install_page(progress: Progress) -> None:
    """Builds the browser page where the checkout's own runtime finds it, and brings what checks and tests it."""
    page = built_page(progress)
    if page is None or page == page_dir():
        return
    shutil.rmtree(page_dir(), ignore_errors=True)
    shutil.copytree(page, page_dir())
    modules = page_source_dir() / MODULES
    modules.unlink(missing_ok=True)
    modules.symlink_to(npm_packages(progress, with_tools=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
