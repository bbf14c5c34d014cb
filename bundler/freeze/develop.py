"""Makes the checkout's own environment: `loaf`, and, where tests or checks ask for it, what they need besides.

Knows what scripts/setup runs: `loaf FOLDER` with any Python, then with the environment's own `source`, `tests`,
`checks` or `docs`. What is there is not made again. Refuses to know how a step is done.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from bundler.freeze.at_once import one_line
from bundler.freeze.compiler import find_compiler
from bundler.freeze.environment import check_python
from bundler.freeze.packages import install, new_environment, pip
from bundler.freeze.pins import LLAMA, Extra, pins
from bundler.progress import Progress, progress_for
from bundler.store.cache import key_of, log_file
from runtime.errors import LoafError

CHECKOUT = Path(__file__).resolve().parents[2]

_PHASES = ({"Making .venv": 7.0}, {"Installing loaf": 7.0}, {"Installing what loaf needs": 6.0})
"""Seconds of a processor, measured."""


def main(arguments: list[str]) -> int:
    """Does one of the steps; an error is told in its own words and ends in exit code 1."""
    try:
        match arguments:
            case ["loaf", folder]:
                install_loaf(Path(folder), progress_for())
            case ["source"]:
                install_source(progress_for())
            case ["tests"]:
                install_source(progress_for())
                install_tools("test", "tests", progress_for())
            case ["checks"]:
                install_source(progress_for())
                install_tools("check", "checks", progress_for())
            case ["docs"]:
                install_tools("docs", "the documentation and its site", progress_for())
            case _:
                raise LoafError(
                    f"nothing is called {' '.join(arguments)}", "scripts/setup [source] [tests] [checks] [docs]"
                )
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


def install_loaf(folder: Path, progress: Progress) -> None:
    """Makes the environment `folder`, with this checkout and exactly what the `loaf` command needs.

    Raises CompilerMissing and PythonUnsuitable before anything is downloaded, PackagesUnreachable and StepFailed.
    """
    find_compiler()
    check_python()
    state = _state()
    if _is_done(folder, "loaf", state):
        return
    log = log_file("setup")
    log.unlink(missing_ok=True)
    if not (folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
    with one_line("Installing loaf", _PHASES, progress) as shown:
        with shown.step("Making .venv", None, "steps"):
            python = new_environment(folder, log, with_pip=True)
        site_packages = next(folder.glob("lib/python*/site-packages"))
        install(python, ["--editable", str(CHECKOUT)], what="loaf", log=log, progress=shown)
        install(python, pins("builder", site_packages), what="what loaf needs", log=log, progress=shown)
    _note(folder, "loaf", state)


def install_source(progress: Progress) -> None:
    """Brings what `runtime/` is run from source with, where this Python belongs: its packages, llama.cpp, the page."""
    from bundler.freeze.llama import compiled_package, lay_into  # here, since they need what only this Python has
    from bundler.freeze.mtmd import compiled_mtmd

    llama, mtmd = compiled_package(progress), compiled_mtmd(progress)
    state = f"{_state()} {llama.name} {mtmd.name}"
    if not _is_done(Path(sys.prefix), "source", state):
        others = [pin for pin in (*pins("runtime"), *pins("media")) if not pin.startswith(f"{LLAMA}==")]
        install(Path(sys.executable), others, what="the runtime's packages", log=log_file("setup"), progress=progress)
        lay_into(next(Path(sys.prefix).glob("lib/python*/site-packages")), llama, mtmd)
        _note(Path(sys.prefix), "source", state)
    _install_page(progress)


def install_tools(extra: Extra, needed_by: str, progress: Progress) -> None:
    """Installs the packages of `extra`, and what they ask for in turn. `needed_by`: for people."""
    folder, state = Path(sys.prefix), _state()
    if _is_done(folder, extra, state):
        return
    with progress.step(f"Installing what {needed_by} take", None, "steps") as advance:
        pip(
            Path(sys.executable),
            ["install", *pins(extra)],
            step=f"installing what {needed_by} take",
            wanted=f"what {needed_by} take",
            log=log_file("setup"),
            on_line=lambda line: advance(line.startswith("Collecting")),
        )
    _note(folder, extra, state)


def _install_page(progress: Progress) -> None:
    """Builds the browser page where the checkout's own runtime finds it, and brings what checks and tests it."""
    from bundler.freeze.page import MODULES, built_page, npm_packages
    from bundler.paths import page_dir, page_source_dir

    page = built_page(progress)
    if page is None or page == page_dir():
        return
    shutil.rmtree(page_dir(), ignore_errors=True)
    shutil.copytree(page, page_dir())
    modules = page_source_dir() / MODULES
    modules.unlink(missing_ok=True)
    modules.symlink_to(npm_packages(progress, with_tools=True))


def _state() -> str:
    """A key that changes when what is installed has to be installed again."""
    return key_of(
        project=(CHECKOUT / "pyproject.toml").read_text(),
        python=f"{sys.version} {sys.base_prefix}",
        system=f"{platform.machine()} {platform.libc_ver()} {CHECKOUT}",
    )


def _is_done(folder: Path, what: str, state: str) -> bool:
    note = _note_of(folder, what)
    return note.is_file() and note.read_text() == state


def _note(folder: Path, what: str, state: str) -> None:
    _note_of(folder, what).write_text(state)


def _note_of(folder: Path, what: str) -> Path:
    return folder / f"setup-{what}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
