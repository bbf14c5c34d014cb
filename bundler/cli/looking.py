"""Commands that say what there is: in a file, in two of them, on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bundler.errors import Found
from bundler.making.options import ModelSource


@click.command()
@click.argument("file", type=ModelSource())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--sbom", is_flag=True, help="List the software and the models in a bundle, with licences: CycloneDX.")
def inspect(file: str, as_json: bool, sbom: bool) -> None:
    """Say what is in FILE, a GGUF or a bundle, and how much memory it needs.

    Of a folder its models, and of hf:OWNER/REPO, ollama:NAME and https://... what would be fetched, with sizes.
    """
    from bundler.looking.inspect import inspect as inspect_file
    from bundler.looking.inspect import to_json, to_text
    from bundler.sources import offered

    if sbom:
        from bundler.looking.sbom import to_sbom
        from runtime.bundle import open_bundle

        click.echo(to_sbom(open_bundle(Path(file))))
        return
    found = offered(file)
    if isinstance(found, list):
        click.echo(_listed(file, found, as_json=as_json))
        return
    report = inspect_file(found)
    click.echo(to_json(report) if as_json else to_text(report))


def _listed(model: str, found: list[Found], *, as_json: bool) -> str:
    """What MODEL names where that is no single file."""
    from bundler.text import human_size

    if as_json:
        return json.dumps([{"model": one.spec, "size": one.size} for one in found], indent=2, ensure_ascii=False)
    if not found:
        return f"{model}: there is no .gguf file in this folder or below it"
    return "\n".join([f"{model}:", *(f"{human_size(one.size):>9}  {one.spec}" for one in found)])


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Say in what the bundles A and B differ. The exit code is 0 where they are the same, else 1."""
    from bundler.looking.diff import differences, headline, to_json, to_text
    from runtime.bundle import open_bundle

    first, second = open_bundle(a), open_bundle(b)
    found = differences(first, second)
    if not as_json and (differs := headline(first, second)):
        click.echo(differs)
    if found or as_json:
        click.echo(to_json(found) if as_json else to_text(found))
    if found:
        sys.exit(1)


@click.command()
def models() -> None:
    """List what this machine has already, in the stores of other programs."""
    from bundler.sources.installed import installed, places
    from bundler.text import human_size
    from runtime.errors import escaped

    there = installed()
    for found in there:
        click.echo(f"{human_size(found.size):>9}  {escaped(found.spec)}")
    if not there:
        click.echo("No models of other programs are here. Looked for in:")
        for place in places():
            click.echo(f"  {place}")
        click.echo(
            "`loaf build hf:OWNER/REPO:QUANT` fetches one from Hugging Face, `loaf build demo` takes the one within."
        )


@click.command()
def doctor() -> None:
    """Say what this machine has for running bundles and building them, and what to do where it lacks something.

    The exit code is 1 where nothing can be built as it is.
    """
    from bundler.looking.doctor import describe_this_machine, findings, summary

    found = list(findings())
    click.echo(f"{summary(found)}\n")
    for line in describe_this_machine():
        click.echo(line)
    click.echo()
    for finding in found:
        click.echo(finding.sentence)
    sys.exit(any(finding.is_fatal for finding in found))
