"""`scripts/bench page`: how soon the page is seen once it is asked for.

What is measured is the browser's own `first-contentful-paint` (W3C, Paint Timing), from the navigation on. Most of it
is the browser's: how long it takes for a page of one word is measured beside it, in turn.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
from contestants import LOAF, Load, bundle
from playwright.sync_api import BrowserContext, BrowserType, Page, sync_playwright
from processes import served
from report import Samples, Target, Unit, save, show

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import progress_for

WORD = "a page of one word"
LAUNCHED = "browser just launched, empty profile"
FIRST = "first visit"
AGAIN = "second visit, from the cache"
VISITS = (LAUNCHED, FIRST, AGAIN)
WORST = "  the slowest"
LIMIT = 100  # ms

_PAINTED = """() => new Promise(painted => new PerformanceObserver(list =>
    list.getEntriesByName('first-contentful-paint').forEach(entry => painted(entry.startTime))
).observe({type: 'paint', buffered: true}))"""
_SETTLED_MS = 500
"""What a visit has begun in the browser, and in the page, is over by then."""


@click.command()
@click.option("--runs", type=click.IntRange(1), default=10, show_default=True, help="Visits of each kind.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def page(runs: int, json_file: Path | None) -> None:
    """The first paint of the demo bundle's page, in Chromium: medians and the slowest."""
    progress = progress_for()
    rows: dict[str, Unit] = {row: "ms" for visit in VISITS for row in (visit, f"{WORST} ({visit})")}
    samples = Samples(rows, (LOAF, WORD))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loaf-bench-")))
        request = BuildRequest("demo", output=folder / "bench.loaf")
        file = build_bundle(request, MadeHere(progress), progress).path
        contestant = bundle(file, Load(), folder / LOAF)
        server = stack.enter_context(served(contestant.server, contestant.env))
        pages = {LOAF: server.port, WORD: stack.enter_context(_one_word())}
        chromium = stack.enter_context(sync_playwright()).chromium
        with progress.step("Measuring", runs, "steps") as advance:
            for number in range(runs):
                for column in (LOAF, WORD) if number % 2 else (WORD, LOAF):
                    _visit(chromium, f"http://127.0.0.1:{pages[column]}/", column, samples)
                advance(1)
    for visit in VISITS:
        for column in samples.columns:
            samples.add(f"{WORST} ({visit})", column, max(samples.values[visit, column]))
    targets = [Target(f"{visit}: {LIMIT} ms", samples.median(visit, LOAF), LIMIT, "ms") for visit in VISITS]
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"medians of {runs} (ratio to loaf)", samples, targets))


def _visit(chromium: BrowserType, url: str, column: str, samples: Samples) -> None:
    """Adds a sample of each of VISITS."""
    with tempfile.TemporaryDirectory(prefix="loaf-bench-profile-") as profile:
        context = _launched(chromium, profile)
        samples.add(LAUNCHED, column, _paint(context.pages[0], url))
        context.close()
    with tempfile.TemporaryDirectory(prefix="loaf-bench-profile-") as profile:
        context = _launched(chromium, profile)
        context.pages[0].wait_for_timeout(_SETTLED_MS)
        for visit in (FIRST, AGAIN):
            tab = context.new_page()
            tab.wait_for_timeout(_SETTLED_MS)
            samples.add(visit, column, _paint(tab, url))
            tab.wait_for_timeout(_SETTLED_MS)
        context.close()


def _launched(chromium: BrowserType, profile: str) -> BrowserContext:
    return chromium.launch_persistent_context(profile, executable_path=shutil.which("chromium"), args=["--no-sandbox"])


def _paint(tab: Page, url: str) -> float:
    """Milliseconds from the navigation to the first paint of text or drawings."""
    tab.goto(url)
    return float(tab.evaluate(_PAINTED))


class _Word(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<!doctype html><title>loaf</title><p>Bread"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _one_word() -> Iterator[int]:
    """A server of the smallest page there is. Yields its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Word)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
