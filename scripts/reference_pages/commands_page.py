"""`docs/loaf.md`: the `loaf` command, as its own help tells it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from bundler.cli import loaf

_HEAD = """\
# The `loaf` command

*Written by `scripts/reference` from the command's own help: `loaf COMMAND --help` says the same.*

It makes bundles, and looks into them. The flags of a bundle itself are in [another page](flags.md). Exit codes: 0 done,
1 something went wrong (standard error says what), 2 the command line is wrong, 130 interrupted.
"""


def commands_page() -> str:
    """The page, in Markdown."""
    lines = [_HEAD]
    for name, command in _commands(loaf, "loaf"):
        lines += [f"## `{name}`", "", "```text", _help(command, name), "```", ""]
    return "\n".join(lines)


def _commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, those of groups with their group's name."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{name} {word}")
        elif not command.hidden:
            yield f"{name} {word}", command


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=110, max_content_width=110, help_option_names=["-h", "--help"]
    )
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
