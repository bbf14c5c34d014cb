"""Builds the browser page of runtime/web/source/: npm fetches its packages, esbuild makes few files of it.

Knows npm, the build's command, and that the files are served compressed. Refuses to know what is on the page.

Without npm there is the page that was built before, where this project was installed from a wheel that has it, else a
plain one, which is a file of its own (runtime/web/plain.html).
"""

from __future__ import annotations

import gzip
import json
import platform
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from bundler.errors import PackagesUnreachable, StepFailed
from bundler.freeze.contents import Software
from bundler.freeze.pack import content_of
from bundler.freeze.packages import complaints
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.paths import page_dir, page_source_dir
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

LICENSES = "licenses.txt"
PACKAGES = "packages.json"
"""Beside the page's files: the packages that are in them, and their licences. These two are not served."""

MODULES = "node_modules"
"""Where npm puts packages, and looks for them."""

_NEEDS_BYTES = 200_000_000  # with TypeScript and pdf.js, which take most of it
_NO_NETWORK = re.compile(r"npm (error|ERR!) code (ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENETUNREACH|E50\d)")


def page_key() -> str:
    """Changes with everything that is in the page, and with whether it can be built."""
    if not _can_build():
        return f"installed {content_of(page_dir())}" if page_dir().is_dir() else "plain"
    return key_of(source=_sources(), machine=platform.machine())


def built_page(progress: Progress) -> Path | None:
    """The folder with the page's files, compressed, beside LICENSES and PACKAGES; None: only the plain one is left.

    Raises PackagesUnreachable, StepFailed and CacheError.
    """
    if _can_build():
        return cached("page", page_key(), lambda folder: _make(folder, progress), needs=_NEEDS_BYTES)
    if page_dir().is_dir():
        return page_dir()
    progress.say("npm is not installed, so the page at / is a plain one; Node.js 18 or newer makes it the whole one.")
    return None


def page_software(page: Path) -> tuple[Software, ...]:
    """The packages that are in `page`."""
    return tuple(Software(**one) for one in json.loads((page / PACKAGES).read_text()))


def npm_packages(progress: Progress, *, with_tools: bool) -> Path:
    """The folder of the packages in package-lock.json; `with_tools`: those that check and test the page, too.

    Raises PackagesUnreachable, StepFailed and CacheError.
    """
    lock = (page_source_dir() / "package-lock.json").read_text()
    key = key_of(lock=lock, machine=platform.machine(), tools=str(with_tools))
    entry = cached("npm", key, lambda folder: _fetch(folder, with_tools, progress), needs=_NEEDS_BYTES)
    return entry / MODULES


def _can_build() -> bool:
    return page_source_dir().is_dir() and all(shutil.which(command) for command in ("npm", "node"))


def _sources() -> str:
    return content_of(page_source_dir(), without=(MODULES,))


def _make(folder: Path, progress: Progress) -> None:
    packages = npm_packages(progress, with_tools=False)
    work = folder / "work"
    shutil.copytree(page_source_dir(), work, ignore=shutil.ignore_patterns(MODULES))
    (work / MODULES).symlink_to(packages)
    with progress.step("Building the page", None, "steps"):
        _run(["node", "build.mjs", folder / "plain"], work, "building the page")
    _compress(folder / "plain", folder)
    shutil.rmtree(folder / "plain")
    shutil.rmtree(work)


def _fetch(folder: Path, with_tools: bool, progress: Progress) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(page_source_dir() / name, folder)
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", *([] if with_tools else ["--omit=dev"])]
    with progress.step("Fetching the page's packages", None, "steps"):
        _run(["npm", "ci", *flags], folder, "fetching the page's packages")


def _run(argv: list[str | Path], work: Path, step: str) -> None:
    log = log_file("page")
    try:
        run(argv, log=log, env=clean_environment(), cwd=work)
    except CommandFailed as error:
        if any(_NO_NETWORK.search(line) for line in error.tail):
            raise PackagesUnreachable("the page's packages") from error
        raise StepFailed(step, complaints(error.tail), log) from error


def _compress(source: Path, target: Path) -> None:
    """Every file of `source` as NAME.gz, the same each time; what is not served as it is."""
    for path in _files(source):
        to = target / path.relative_to(source)
        to.parent.mkdir(exist_ok=True)
        if path.name in (LICENSES, PACKAGES):
            shutil.copy(path, to)
        else:
            to.with_name(f"{to.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
