"""Errors become exit codes here and nowhere else, for the `loaf` command and for bundles alike.

0 done, 1 something went wrong, 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from runtime.errors import LoafError, escaped

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130

_LINES = "\n"
"""A message may have several of them; names in it that come from a file have none."""
_HINTS = {
    errno.ENOENT: "Check the name: what does not begin with / is looked for in the folder that this was started in.",
    errno.ENOTDIR: "Check the name: a part of it that should be a folder is a file.",
    errno.EISDIR: "Name a file in it.",
    errno.EACCES: "Ask for the permission, or name another place (ls -ld tells whose it is).",
    errno.EPERM: "Ask for the permission, or name another place (ls -ld tells whose it is).",
    errno.EROFS: "Name a place on a disk that can be written to.",
    errno.ENOSPC: "Make room, or name a place on another disk.",
    errno.EDQUOT: "Make room, or name a place on another disk.",
}
"""What to do about what the system says."""


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Around a whole command line: what it raises is told on stderr, in its own words, and ends the program."""
    try:
        yield
    except click.NoSuchOption as error:
        params = [] if error.ctx is None else error.ctx.command.params
        likely = _meant(error.option_name, [name for param in params for name in param.opts if name.startswith("--")])
        meant = f" Did you mean {likely}?" if likely else ""
        click.UsageError(f"No such option {error.option_name!r}.{meant}", error.ctx).show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except LoafError as error:
        _fail(str(error))
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        _fail(f"{error.filename or 'system'}: {error.strerror or error}" + (f"\n{hint}" if hint else ""))


def _meant(name: str, known: Sequence[str]) -> str | None:
    """The one of `known` that begins as `name` does, the shortest of several; else one that is like it, if any is."""
    import difflib

    longer = [one for one in known if one.startswith(name)]
    if longer:
        return min(longer, key=len)
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.7)), None)


def _fail(text: str) -> None:
    click.echo(f"error: {escaped(text, kept=_LINES)}", err=True)
    sys.exit(EXIT_FAILURE)
