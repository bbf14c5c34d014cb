"""What a bundle is asked before it counts as built: does it understand what is baked into it?

The flags in `.args` are read and their values checked, as far as that does not depend on the machine; the template is
parsed and tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from runtime.bundle import Bundle


def rehearse(bundle: Bundle, command: click.Command, arguments: Sequence[str], defaults: Mapping[str, Any]) -> None:
    """Raises click's errors. `arguments` and `defaults` are those of `.args`."""
    from runtime.cli.translate import settings_from

    if "$" not in bundle.args:  # else it depends on the environment
        with (
            command.make_context("FILE", list(arguments), default_map=dict(defaults)) as context,
            suppress(OSError),  # files are to be where the bundle runs
        ):
            settings_from(bundle.manifest, context.params)
    template = bundle.manifest.chat_template
    if template is not None:
        _try_template(template)


def _try_template(template: str) -> None:
    from runtime.chat.errors import TemplateFailed
    from runtime.chat.template import ChatTemplate

    try:
        ChatTemplate(template, "", "").render([{"role": "user", "content": "Hello"}])
    except TemplateFailed as error:
        raise click.BadParameter(error.reason, param_hint="--chat-template") from error
