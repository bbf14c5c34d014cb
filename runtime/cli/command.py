"""A click command whose help is in groups."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource


class GroupedCommand(click.Command):
    """Options come in `groups`; those that decorators bring in a `last` one, and those in `hidden` are only taken.

    `stray` says what is meant where words are given that no flag takes.
    """

    def __init__(
        self,
        name: str | None,
        *,
        groups: Sequence[tuple[str, Sequence[click.Option]]],
        hidden: Sequence[click.Option],
        params: list[click.Parameter],
        last: str,
        stray: Callable[[Sequence[str]], str] | None = None,
        **attributes: Any,
    ) -> None:
        self._stray = stray or _no_flag_takes
        self._groups = (*groups, (last, [param for param in params if isinstance(param, click.Option)]))
        grouped = [option for _name, options in self._groups for option in options]
        arguments = [param for param in params if isinstance(param, click.Argument)]
        super().__init__(
            name,
            params=[*arguments, *grouped, *hidden],
            context_settings={"max_content_width": 110, "allow_extra_args": True},
            **attributes,
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises `click.UsageError` for a word that no flag takes, with the flag that is meant."""
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            error.param_hint = error.param_hint or _variable_behind(error)
            raise
        if ctx.args and not ctx.resilient_parsing:
            raise click.UsageError(self._stray(ctx.args), ctx)
        return rest

    def check_words(self, words: Sequence[str], program: str) -> None:
        """Raises `click.UsageError` for what is no flag of this command, called `program`. Values are not looked at."""
        context = click.Context(self, info_name=program)
        _flags, rest, _order = self.make_parser(context).parse_args(list(words))
        if rest:
            raise click.UsageError(self._stray(rest), context)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list of definitions a group, instead of a long one."""
        for name, options in self._groups:
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(name):
                formatter.write_dl([record for record in records if record is not None])


def _variable_behind(error: click.BadParameter) -> str | None:
    """The variable of the environment that the value comes from, None where it comes from elsewhere."""
    option, context = error.param, error.ctx
    if not isinstance(option, click.Option) or option.name is None or context is None:
        return None
    if context.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return None
    return f"{context.auto_envvar_prefix}_{option.name.upper()}"


def _no_flag_takes(words: Sequence[str]) -> str:
    if words[0].lower().endswith(".gguf"):
        return f"{words[0]}: weights go behind -m: -m {shlex.quote(words[0])}"
    return f"{words[0]!r} belongs to no flag. A prompt goes behind -p: -p {shlex.quote(' '.join(words))}"
