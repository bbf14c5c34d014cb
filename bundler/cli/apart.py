"""Commands that take a bundle apart."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The bundle to write [FILE's name, -thin.loaf].")
def split(file: Path, output: Path | None) -> None:
    """Write the bundle FILE anew without its weights, and those beside it: where one large file cannot be.

    The two belong into one folder. `loaf build` makes one file of them again.
    """
    from bundler.file.beside import split as split_bundle
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle

    total = sum(entry.size for entry in open_bundle(file).manifest.entries)
    with progress_for().step(f"Splitting {file}", total, "bytes") as advance:
        paths = split_bundle(file, output or Path(f"{file.stem}-thin.loaf"), advance)
    for path in paths:
        click.echo(path)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The folder to write to [FILE's name, without .loaf]."
)
def extract(file: Path, output: Path | None) -> None:
    """Take the bundle FILE apart: weights, runtime, manifest."""
    from bundler.looking.extract import extract as extract_bundle
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle

    bundle = open_bundle(file)
    total = sum(span.size for span in bundle.spans.values()) + sum(entry.size for entry in bundle.beside())
    folder = output or Path(file.stem if file.suffix else f"{file.name}.d")
    with progress_for().step(f"Extracting {file}", total, "bytes") as advance:
        paths = extract_bundle(bundle, folder, advance)
    for path in paths:
        click.echo(path)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The folder to make [FILE's name, without .loaf, -image]."
)
def image(file: Path, output: Path | None) -> None:
    """Make a container image of the bundle FILE, in OCI's layout: no daemon, and no system below it.

    \b
    What then takes it (docs/containers.md):
      skopeo copy oci:FOLDER:latest docker://REGISTRY/NAME
      podman pull oci:FOLDER
      tar -C FOLDER -c . | docker load
    """
    from bundler.imaging.image import write_image
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle

    total = 2 * sum(entry.size for entry in open_bundle(file).manifest.entries)
    folder = output or Path(f"{file.stem}-image")
    with progress_for().step(f"Making an image of {file}", total, "bytes") as advance:
        platforms = write_image(file, folder, advance)
    click.echo(f"{folder}: {', '.join(platforms)}")
