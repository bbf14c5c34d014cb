"""The command that shows what loaf and bundles have left on the disk, and takes it away."""

from __future__ import annotations

import click

_MEANING = {
    "programs": "unpacked by bundles, which do so again at their next launch",
    "models": "weights that bundles have fetched (-hf, -mu)",
    "downloads": "weights that were fetched to build bundles",
    "builds": "compiled and frozen to build bundles; made again in minutes",
}


@click.command()
@click.argument("what", nargs=-1, type=click.Choice(list(_MEANING)), metavar="[WHAT]...")
@click.option("--yes", is_flag=True, help="Remove it.")
def clean(what: tuple[str, ...], yes: bool) -> None:
    """Say what loaf and its bundles have left on this disk; with --yes, remove it.

    \b
    WHAT is one of these, or several [all]:
      programs    unpacked by bundles, which do so again at their next launch
      models      weights that bundles have fetched (-hf, -mu)
      downloads   weights that were fetched to build bundles
      builds      compiled and frozen to build bundles; made again in minutes

    What is in use stays; do not remove builds while a bundle is built. Bundles themselves are never touched, nor the
    cache of Hugging Face's hub, which belongs to other programs, too (hf cache).
    """
    from bundler.store.clearing import clear, kept
    from bundler.text import human_size

    there = [one for one in kept() if one.kind in (what or _MEANING)]
    for kind, meaning in _MEANING.items():
        found = [one for one in there if one.kind == kind]
        if not found:
            continue
        click.echo(f"{kind}: {human_size(sum(one.size for one in found))}, {meaning}")
        for folder in dict.fromkeys(one.path.parent for one in found):
            size = sum(one.size for one in found if one.path.parent == folder)
            click.echo(f"{human_size(size):>10}  {folder}")
        if yes:
            stays = [one for one in found if not clear(one)]
            click.echo(f"  Removed{', but for what is in use:' if stays else '.'}")
            for one in stays:
                click.echo(f"{human_size(one.size):>10}  {one.path}")
    if not there:
        click.echo("Nothing is there.")
    elif not yes:
        click.echo(f"`loaf clean {''.join(f'{word} ' for word in what)}--yes` removes it.")
