"""The command that makes of this very command one file."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.making.options import RUNTIME_FROM, BackendName, TargetFile


@click.command(params=[RUNTIME_FROM])
@click.option("-o", "--output", type=TargetFile(), default=Path("loaf"), show_default=True, help="The file to write.")
@click.option("--backend", type=BackendName(), multiple=True, help="Also hold the pack for it; repeatable.")
def builder(output: Path, backend: tuple[str, ...], runtime_from: Path | None) -> None:
    """Write this command as one file, which builds where there is no Python, no compiler and no network.

    It holds the programs that go into bundles, and what it builds takes them from it.
    """
    from bundler.errors import NothingToFreezeWith
    from bundler.packs import find_recipe
    from bundler.paths import is_frozen
    from bundler.programs import programs_from
    from bundler.programs.holding import write_builder
    from bundler.progress import progress_for
    from bundler.text import human_size

    if is_frozen():
        raise NothingToFreezeWith("copy this file: it is what would be written")
    progress = progress_for()
    recipes = tuple({recipe.backend: recipe for recipe in map(find_recipe, backend)}.values())
    supply = programs_from(runtime_from, progress)
    supply.check(recipes)
    size = write_builder(output, supply, recipes, progress)
    click.echo(f"{output}: {human_size(size)}")
