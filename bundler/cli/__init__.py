"""The `loaf` command: one function a command, in modules by what they are for.

making → bundles, and changes to them   runtimes → the program in every bundle   apart → a bundle taken apart
looking → what there is                 trusting → whether it is what it was     itself → this command as one file
words → what other programs call the same                                 clearing → what is left on the disk

Imports in the functions, because a command should not wait for what the others need. Refuses to know how anything is
done: words in, words and exit codes out.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from bundler.cli.apart import extract, image, split
from bundler.cli.certificates import trust_certificates
from bundler.cli.clearing import clean
from bundler.cli.itself import builder
from bundler.cli.looking import diff, doctor, inspect, models
from bundler.cli.making import build, run_, set_, upgrade
from bundler.cli.runtimes import runtime
from bundler.cli.trusting import sign, verify
from bundler.cli.words import Commands
from runtime import __version__
from runtime.backends import ASK_FOR_DEVICES
from runtime.cli.completion import SHELLS, Shell, script
from runtime.exits import errors_as_exit_codes
from runtime.machine.program import restore_environment


def main() -> None:
    """The program: installed, or as one file, which also answers for the drivers that it asks in a child of its own."""
    restore_environment()
    if sys.argv[1:2] == [ASK_FOR_DEVICES]:
        from runtime.backends.probe import answer

        answer(sys.argv[2])
    trust_certificates()
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


_MAKING = (build, run_, set_, upgrade, split, extract, image, runtime, builder, clean)
_LOOKING = (doctor, models, inspect, diff, verify, sign)

for _command in (*_MAKING, *_LOOKING):
    loaf.add_command(_command)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
