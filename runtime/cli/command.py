"""A click command whose help is in groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


class GroupedCommand(click.Command):
    """Options come in `groups`; those that decorators bring in a `last` one, and those in `hidden` are only taken."""

    def __init__(
        self,
        name: str | None,
        *,
        groups: Sequence[tuple[str, Sequence[click.Option]]],
        hidden: Sequence[click.Option],
        params: list[click.Parameter],
        last: str,
        **attributes: Any,
    ) -> None:
        self._groups = (*groups, (last, [param for param in params if isinstance(param, click.Option)]))
        grouped = [option for _name, options in self._groups for option in options]
        arguments = [param for param in params if isinstance(param, click.Argument)]
        super().__init__(
            name, params=[*arguments, *grouped, *hidden], context_settings={"max_content_width": 110}, **attributes
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list of definitions a group, instead of a long one."""
        for name, options in self._groups:
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(name):
                formatter.write_dl([record for record in records if record is not None])
