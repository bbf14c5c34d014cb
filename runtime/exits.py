"""Errors become exit codes here and nowhere else, for the `loaf` command and for bundles alike.

0 done, 1 something went wrong, 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from runtime.errors import LoafError, escaped

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130

_LINES = "\n"
"""A message may have several of them; names in it that come from a file have none."""


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Around a whole command line: what it raises is told on stderr, in its own words, and ends the program."""
    try:
        yield
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except LoafError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")


def _fail(text: str) -> None:
    click.echo(f"error: {escaped(text, kept=_LINES)}", err=True)
    sys.exit(EXIT_FAILURE)
