"""Every flag of a bundle on one command: for the program itself, and for who looks at its words before it is there.

Knows which options there are and in which groups they are shown. Refuses to know what is done when they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from runtime import __version__
from runtime.cli.command import GroupedCommand
from runtime.cli.completion import SHELLS, script
from runtime.cli.options import GROUPS, THIS_FILE
from runtime.cli.unused import unused_options
from runtime.cli.version import VERSION_LINE

if TYPE_CHECKING:
    from runtime.cli.completion import Shell


def with_all_flags(function: Callable[..., Any]) -> GroupedCommand:
    """The command that calls `function` with what the flags say, by their names."""
    own = [*THIS_FILE, _COMPLETION]
    described = click.version_option(__version__, message=VERSION_LINE, allow_from_autoenv=False)(
        click.help_option("-h", "--help", allow_from_autoenv=False)(function)
    )
    return click.command(
        cls=GroupedCommand,
        groups=GROUPS,
        hidden=unused_options(),
        params=own,
        last="This file",
    )(described)


def _print_completion(context: click.Context, _param: click.Parameter, shell: Shell | None) -> None:
    if shell is not None and not context.resilient_parsing:
        click.echo(script(shell, context.info_name or ""), nl=False)
        context.exit()


_COMPLETION = click.Option(
    ["--completion"],
    type=click.Choice(SHELLS),
    is_eager=True,
    expose_value=False,
    callback=_print_completion,
    allow_from_autoenv=False,
    help="Say what lets this shell complete flags, and exit.",
)
