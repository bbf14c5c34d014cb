"""What tests share: the demo bundle, built by the real command, and ways to run it as its user would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.bundles import DEMO_GGUF, Server, clean_environment, loaf
from support.changed import changed_files, touched_tests
from support.once import made_once
from support.places import DATA
from support.small_bundles import HERE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from runtime.engine.llama.backend import LlamaBackend
    from runtime.engine.llama.context import Context


# Tests run at once, and so do their models: a thread that waits for another one is not to keep a processor meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--changed", action="store_true", help="run what the change in the working tree can touch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--changed"):
        touched = touched_tests(changed_files())
        config.hook.pytest_deselected(items=[item for item in items if item.path not in touched])
        items[:] = [item for item in items if item.path in touched]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:  # noqa: ARG001
    """In CI nothing may be skipped: everything that a test needs is installed by `.ci/run`."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the build cache is while the test runs: a folder that is not there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the demo model. Read-only for tests: copy it to change it."""

    def make(folder: Path) -> None:
        loaf("build", "demo", f"--platform={HERE}", "-o", str(folder / "demo.loaf"), check=True)

    return made_once(tmp_path_factory, "demo", make) / "demo.loaf"


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `loaf` command as one file. Read-only for tests."""

    def make(folder: Path) -> None:
        loaf("builder", "-o", str(folder / "loaf"), check=True)

    return made_once(tmp_path_factory, "builder", make) / "loaf"


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three models: `demo`, `embed`, which only makes vectors, and `ranker`. Read-only for tests."""

    def make(folder: Path) -> None:
        also = [f"--also=embed={DATA / 'embedder.gguf'}", f"--also=ranker={DATA / 'reranker.gguf'}"]
        loaf("build", "demo", f"--platform={HERE}", *also, "-o", str(folder / "several.loaf"), check=True)

    return made_once(tmp_path_factory, "several", make) / "several.loaf"


@pytest.fixture(scope="session")
def warm_cache(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder into which the demo bundle has been unpacked. Read-only for tests."""

    def make(folder: Path) -> None:
        subprocess.run([demo, "--version"], env=clean_environment(folder), check=True, capture_output=True)

    return made_once(tmp_path_factory, "warm-cache", make)


@pytest.fixture
def run(warm_cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a bundle (or any command) with the warm cache, and capture what it says."""

    def run(*command: str | Path, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
        options.setdefault("env", clean_environment(warm_cache))
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [str(part) for part in command], capture_output=True, text=True, timeout=timeout, **options
        )

    return run


@pytest.fixture(scope="session")
def server(demo: Path, warm_cache: Path) -> Iterator[Server]:
    """The demo bundle serving on a free port, for all tests that only ask it things."""
    with Server(demo, cache=warm_cache) as server:
        yield server


@pytest.fixture(scope="session")
def demo_gguf() -> Path:
    """The demo model's weights."""
    return DEMO_GGUF


@pytest.fixture(scope="module")
def backend(demo_gguf: Path) -> Iterator[LlamaBackend]:
    """llama.cpp with the demo model, for the tests of one file."""
    from support.llama_runs import open_backend  # here, as most tests need no engine of their own

    backend = open_backend(demo_gguf)
    yield backend
    backend.close()


@pytest.fixture
def context(backend: LlamaBackend) -> Context:
    """The pool, with nothing in it."""
    from runtime.engine.llama.context import Context

    context = backend.generator
    assert isinstance(context, Context)
    for slot in range(4):
        context.keep_prefix(slot, 0)
    return context


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file: while it is there no other test can run an event loop."""
    from support.browsers import chromium  # here, as most tests need no browser

    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page of `server`, in a profile of its own."""
    from support.browsers import opened

    with opened(browser, server.url) as page:
        yield page
