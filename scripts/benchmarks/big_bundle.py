"""`scripts/big-bundle`: builds a bundle of 6 GB and more, looks at it from all sides, runs it.

The weights are noise in the shape of an 8B with the demo's vocabulary: llama.cpp loads them and answers nonsense.
Everything that the bundle could write to (home, cache, folder for temporary files) lies in one empty folder, so
what it leaves there is all that it left. Ends with exit code 1 when a check fails; times are shown, not judged.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from processes import RunningServer, plain_environment, run_to_end, served, size_on_disk
from report import format_value
from weights import write_llama

from bundler.freeze import freeze_runtime
from bundler.progress import Progress, format_bytes, progress_for
from bundler.sources import demo
from runtime.bundle import Bundle, open_bundle

_FOUR_GIB = 1 << 32
_SPARE_BYTES = 1_000_000_000
_TOKENS = 4


@dataclass(slots=True)
class Findings:
    """What was found, printed at once. Figures are shown; only what holds or does not is judged."""

    failed: int = 0

    def show(self, what: str, figure: str) -> None:
        click.echo(f"      {what}: {figure}")

    def check(self, holds: bool, what: str, figure: str = "") -> None:
        self.failed += not holds
        click.echo(f"{'ok  ' if holds else 'FAIL'}  {what}{': ' if figure else ''}{figure}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", type=click.FloatRange(0.1), default=6.5, show_default=True, help="Of the weights, in GB.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write [the folder for temporary files].")
def main(size: float, folder: Path | None) -> None:
    """Build a bundle of SIZE and check what small ones cannot show."""
    progress, findings, wanted = progress_for(), Findings(), round(size * 1e9)
    freeze_runtime(progress)
    with tempfile.TemporaryDirectory(prefix="loaf-big-", dir=folder) as name:
        needed, free = 2 * wanted + _SPARE_BYTES, shutil.disk_usage(name).free
        if free < needed:
            raise click.ClickException(f"needs {format_bytes(needed)} in {name}, and {format_bytes(free)} are free")
        file = _build(Path(name), wanted, findings, progress)
        _check_archive(file, findings, progress)
        _check_runs(file, Path(name) / "sandbox", findings)
        _check_cut(file, findings)
    sys.exit(1 if findings.failed else 0)


def _build(folder: Path, wanted: int, findings: Findings, progress: Progress) -> Path:
    """Writes the weights, builds the bundle, compares both and deletes the former."""
    weights, file = folder / "noise.gguf", folder / "noise.loaf"
    with progress.step("Writing the weights", None, "steps"):
        write_llama(weights, wanted, demo.resolve().path)
    built = run_to_end([*_loaf(), "build", str(weights), "-o", str(file)], os.environ)
    size = format_bytes(file.stat().st_size)
    findings.show("built", f"{size} in {_seconds(built.seconds)}, {format_bytes(built.peak_memory)} of memory")
    with progress.step("Comparing", None, "steps"):
        same = _unzipped_equals(file, weights)
    findings.check(same, "unzip -p gives the weights back, byte for byte")
    weights.unlink()
    return file


def _check_archive(file: Path, findings: Findings, progress: Progress) -> None:
    with zipfile.ZipFile(file) as archive:
        entry = next(each for each in archive.infolist() if each.filename.startswith("models/"))
        behind = max(each.header_offset for each in archive.infolist())
    if file.stat().st_size > _FOUR_GIB:
        findings.check(behind > _FOUR_GIB, "ZIP64", f"an entry of {entry.file_size:,} bytes, others behind it")
    for tool, command in {
        "unzip -t": ["unzip", "-tqq", str(file)],
        "loaf verify": [*_loaf(), "verify", str(file)],
        "loaf inspect": [*_loaf(), "inspect", str(file)],
    }.items():
        if shutil.which(command[0]) is None:
            click.echo(f"skip  {tool}: not installed")
            continue
        with progress.step(tool, None, "steps"):
            began = time.perf_counter()
            code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        findings.check(code == 0, tool, _seconds(time.perf_counter() - began))


def _check_runs(file: Path, sandbox: Path, findings: Findings) -> None:
    bundle = open_bundle(file)
    env = _environment_in(sandbox)
    first = run_to_end([str(file), "--version"], env)
    _check_left_on_disk(bundle, sandbox, "left on disk by the first launch", findings)
    findings.show("first launch", f"{_seconds(first.seconds)}, {format_bytes(first.written)} written")
    command = [str(file), "--server", "--nobrowser", "--port", "{port}", "-c", "512", "-np", "1"]
    with served(command, env) as server:
        findings.show("ready", _seconds(server.ready))
        _check_maps(file, server, findings)
        _check_memory("ready", server, findings)
        answer = _complete(server.port)
        predicted, speed = answer["tokens_predicted"], answer["timings"]["predicted_per_second"]
        findings.check(predicted == _TOKENS, "answers", f"{predicted} tokens, {speed:.2f} a second")
        _check_memory("it has answered", server, findings)
        _check_left_on_disk(bundle, sandbox, "left on disk once it has answered", findings)
        written = server.written()
        findings.check(written < _core_limit(bundle), "written to disk by the server", format_bytes(written))


def _environment_in(sandbox: Path) -> dict[str, str]:
    """An environment whose home and folder for temporary files are new, in `sandbox`."""
    home, temporary = sandbox / "home", sandbox / "tmp"
    for folder in (home, temporary):
        folder.mkdir(parents=True)
    return plain_environment(HOME=str(home), TMPDIR=str(temporary))


def _check_left_on_disk(bundle: Bundle, sandbox: Path, what: str, findings: Findings) -> None:
    """Nothing but the unpacked program, in the cache."""
    on_disk = size_on_disk(sandbox)
    outside = [path for path in sandbox.rglob("*") if path.is_file() and "core-" not in str(path)]
    unpacked = bundle.manifest.runtimes[0].unpacked_size
    figure = f"{format_bytes(on_disk)}, the unpacked program is {format_bytes(unpacked)}"
    findings.check(on_disk < _core_limit(bundle) and not outside, what, figure)


def _core_limit(bundle: Bundle) -> int:
    """The unpacked program's size, and room for the last block of each of its few hundred files."""
    return bundle.manifest.runtimes[0].unpacked_size + 2_000_000


def _check_maps(file: Path, server: RunningServer, findings: Findings) -> None:
    """What is mapped of files, in bytes: the bundle itself, and nothing else of its size."""
    mapped: dict[str, int] = {}
    for line in server.maps().splitlines():
        span, _, _, _, inode, *path = line.split(maxsplit=5)
        if inode != "0":
            begins, ends = (int(address, 16) for address in span.split("-"))
            mapped[path[0]] = mapped.get(path[0], 0) + ends - begins
    ours = mapped.pop(os.path.realpath(file), 0)
    findings.check(ours > 0.9 * file.stat().st_size, f"maps {file.name} itself", format_bytes(ours))
    name, largest = max(mapped.items(), key=lambda item: item[1])
    findings.check(largest < 100_000_000, "largest other file mapped", f"{Path(name).name}, {format_bytes(largest)}")


def _check_memory(when: str, server: RunningServer, findings: Findings) -> None:
    memory = server.memory()
    figure = ", ".join(
        f"{name} {format_bytes(getattr(memory, name))}" for name in ("resident", "proportional", "anonymous")
    )
    findings.check(memory.anonymous < 1_000_000_000, f"memory when {when}", figure)


def _check_cut(file: Path, findings: Findings) -> None:
    """A download that broke off after two thirds."""
    os.truncate(file, file.stat().st_size * 2 // 3)
    ran = subprocess.run([str(file), "--version"], capture_output=True, text=True, check=False)
    said = ran.stderr.strip()
    findings.check(
        ran.returncode == 1 and re.search(r"\d+\.\d of \d+\.\d GB", said) is not None,
        "a cut file says so",
        said.removeprefix(f"{file.name}: "),
    )


def _complete(port: int) -> dict[str, Any]:
    body = {"prompt": "The first man on the moon was", "n_predict": _TOKENS, "temperature": 0}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=600) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def _unzipped_equals(file: Path, weights: Path) -> bool:
    if shutil.which("unzip") is None:
        command = [sys.executable, "-m", "zipfile", "-t", str(file)]
        return subprocess.run(command, check=False).returncode == 0
    unzip = subprocess.Popen(["unzip", "-p", str(file), f"models/{weights.name}"], stdout=subprocess.PIPE)
    compared = subprocess.run(["cmp", "-", str(weights)], stdin=unzip.stdout, check=False).returncode
    return unzip.wait() == 0 and compared == 0


def _loaf() -> list[str]:
    return [str(Path(sys.executable).with_name("loaf"))]


def _seconds(value: float) -> str:
    return format_value(value, "s")


if __name__ == "__main__":
    main(prog_name="scripts/big-bundle")
