"""`scripts/release`: everything that a release consists of, from a clean checkout."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click
from notes import notes_of
from packaging_tools import check_metadata, copy_of_the_checkout, make_sdist, make_wheel
from signing import sign_file
from sums import write_sums

from bundler.looking.sbom import to_sbom
from bundler.packs import find_recipe
from bundler.paths import PROGRAMS
from bundler.programs import MadeHere
from bundler.programs.holding import write_builder, write_programs
from bundler.progress import progress_for
from bundler.text import human_size
from runtime import __version__
from runtime.bundle import open_bundle
from runtime.exits import errors_as_exit_codes

ROOT = Path(__file__).parents[2]


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=ROOT / "dist/release", help="The folder [dist/release]."
)
@click.option("--backend", multiple=True, metavar="BACKEND[:CHIPS]", help="Packs to put in; repeatable.")
@click.option("--key", type=click.Path(path_type=Path), help="minisign's secret key, to sign the checksums with.")
def release(output: Path, backend: tuple[str, ...], key: Path | None) -> None:
    """Make the builder as one file, a wheel, an sdist, checksums, a list of what is inside, and the notes.

    The checkout must be as it was committed: what is made is made of that. Nothing is published.
    """
    changed = _git("status", "--porcelain")
    if changed:
        raise click.ClickException(f"the checkout is not as it was committed:\n{changed}")
    progress = progress_for()
    supply, recipes = MadeHere(progress, complete=True), tuple(map(find_recipe, backend))
    supply.check(recipes)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="loaf-release-") as name:
        source = copy_of_the_checkout(ROOT, Path(name) / "source")
        make_sdist(source, output, progress)
        write_programs(source / "bundler" / PROGRAMS, supply, recipes, progress)
        make_wheel(source, output, progress)
    check_metadata(output, progress)
    write_builder(output / "loaf", supply, recipes, progress)
    (output / "loaf.cdx.json").write_text(to_sbom(open_bundle(output / "loaf")) + "\n")
    (output / "NOTES.md").write_text(notes_of((ROOT / "CHANGELOG.md").read_text(), __version__))
    sums = write_sums(output)
    if key is not None:
        sign_file(sums, key, f"file:{sums.name}\tloaf {__version__}")
    for path in sorted(output.iterdir()):
        click.echo(f"{human_size(path.stat().st_size):>9}  {path}")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    with errors_as_exit_codes():
        release(standalone_mode=False)
