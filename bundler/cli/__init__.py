"""The `loaf` command: one function a command, in modules by what they are for.

making → bundles, and changes to them   runtimes → the program in every bundle   apart → a bundle taken apart
looking → what there is                 trusting → whether it is what it was
words → what other programs call the same

Imports in the functions, because a command should not wait for what the others need. Refuses to know how anything is
done: words in, words and exit codes out.
"""

from __future__ import annotations

import signal
from types import FrameType

import click

from bundler.cli.apart import extract, split
from bundler.cli.looking import diff, doctor, inspect, models
from bundler.cli.making import build, run_, set_, upgrade
from bundler.cli.runtimes import runtime
from bundler.cli.trusting import sign, verify
from bundler.cli.words import Commands
from runtime import __version__
from runtime.cli.completion import SHELLS, Shell, script
from runtime.exits import errors_as_exit_codes


def main() -> None:
    """The program."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that a half-written file is cleaned up
    with errors_as_exit_codes():
        loaf.main(standalone_mode=False, prog_name="loaf")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="loaf", message="%(prog)s %(version)s")
def loaf() -> None:
    """Turn GGUF model weights into one executable file that serves and chats."""


@loaf.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: Shell) -> None:
    """Say what lets SHELL complete this command's words (docs/completion.md)."""
    click.echo(script(shell, "loaf"), nl=False)


for _command in (build, run_, set_, upgrade, doctor, models, inspect, split, extract, diff, verify, sign, runtime):
    loaf.add_command(_command)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
