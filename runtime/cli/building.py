"""What a bundle is asked while it is built: does it understand what is baked in, and what is the state of a text?

Knows what of `.args` can be told beforehand. Refuses to know who asks (`bundler/asking/rehearsal.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from runtime.bundle import Bundle

_SAID = "what is said"
"""By the user, in the chat that a template is tried with."""


def rehearse(bundle: Bundle, command: click.Command, arguments: Sequence[str], defaults: Mapping[str, Any]) -> None:
    """Read the flags, as far as that does not depend on the machine, and try the template. Raises click's errors.

    `arguments` and `defaults` are those of `.args`, as `command` takes them.
    """
    from runtime.cli.translate import settings_from

    if "$" not in bundle.args:  # else it depends on the environment
        context = command.make_context("FILE", list(arguments), default_map=dict(defaults))
        with suppress(OSError):  # files are to be where the bundle runs
            settings_from(bundle.manifest, context)
    if bundle.manifest.chat_template is not None:
        _try_template(bundle.manifest.chat_template)


def warm_up(
    bundle: Bundle,
    command: click.Command,
    arguments: Sequence[str],
    defaults: Mapping[str, Any],
    text: Path,
    state: Path,
) -> None:
    """Write the state of what is in `text` to `state`, and what it depends on, as JSON, to standard output.

    `arguments` and `defaults` as `rehearse` takes them. Raises click's errors, `LoafError`, `OSError`.
    """
    import msgspec

    from runtime.cli.translate import settings_from
    from runtime.models.warming import compute_state

    context = command.make_context("FILE", list(arguments), default_map=dict(defaults))
    warm = compute_state(bundle, settings_from(bundle.manifest, context), text.read_text("utf-8"), state)
    sys.stdout.buffer.write(msgspec.json.encode(warm))


def _try_template(template: str) -> None:
    from runtime.chat.errors import TemplateFailed
    from runtime.chat.template import ChatTemplate

    try:
        parsed = ChatTemplate(template, "", "")
        made = parsed.render([{"role": "user", "content": _SAID}])
    except TemplateFailed as error:
        raise click.BadParameter(error.reason, param_hint="--chat-template") from error
    with suppress(TemplateFailed):  # some know texts in parts alone
        made += parsed.render([{"role": "user", "content": [{"type": "text", "text": _SAID}]}])
    if _SAID not in made.lower():
        reason = "what the user says does not appear in what it makes of a chat: it is no chat template."
        raise click.BadParameter(reason, param_hint="--chat-template")
