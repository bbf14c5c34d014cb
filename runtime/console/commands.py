"""Commands of the chat: what a line that begins with `/` means. Pure; what they do, `chat.py` knows."""

from __future__ import annotations

import difflib
import re
from typing import Literal

import msgspec

Name = Literal["help", "system", "clear", "undo", "retry", "image", "save", "load", "model", "stats", "exit"]


class Command(msgspec.Struct, frozen=True):
    """A command, and the rest of its line without the space around it."""

    name: Name
    argument: str = ""


class Mistake(msgspec.Struct, frozen=True):
    """A line that looks like a command and is none; `reason` is for people."""

    reason: str


class _Form(msgspec.Struct, frozen=True):
    takes: str
    help: str


COMMANDS: dict[Name, _Form] = {
    "help": _Form("", "These lines."),
    "system": _Form("[TEXT]", "The system prompt: show it, set it, or remove it with a single -."),
    "clear": _Form("", "Begin a new conversation; the system prompt stays."),
    "undo": _Form("", "Take the last question and its answer back."),
    "retry": _Form("", "Answer the last question anew."),
    "image": _Form("FILE", "Show a picture with what is asked next; so does dropping it here."),
    "save": _Form("FILE", "Write the conversation to a file, as JSON."),
    "load": _Form("FILE", "Go on with the conversation of a file."),
    "model": _Form("[NAME]", "Go on with another model of this file; without a name, say which there are."),
    "stats": _Form("", "How full the context is, and how fast the last answer was."),
    "exit": _Form("", "End the chat; so does Ctrl-D."),
}
"""All of them; an argument in brackets may be left out."""

_LINE = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)


def parse(text: str) -> Command | Mistake | None:
    """What `text` asks for; None where it is said to the model, as paths are (`/etc/passwd holds what?`)."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    name, argument = found[1].lower(), (found[2] or "").strip()
    if name not in COMMANDS:
        return Mistake(_unknown(name))
    form = COMMANDS[name]
    if argument and not form.takes:
        return Mistake(f"/{name} takes nothing")
    if not argument and form.takes and not form.takes.startswith("["):
        return Mistake(f"/{name} needs a {form.takes}")
    return Command(name, argument)


def help_lines() -> list[tuple[str, str]]:
    """(what is written, what it does), for commands and keys."""
    commands = [(f"/{name} {form.takes}".rstrip(), form.help) for name, form in COMMANDS.items()]
    return [
        *commands,
        ("Alt-Enter", "A new line; so does \\ at the end of one, and lines that are pasted stay lines."),
        ("Ctrl-C", "Stop the answer, or forget what is typed."),
        ("Ctrl-D", "End the chat."),
    ]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"Is /{near[0]} meant? " if near else ""
    return f"there is no command /{name}. {hint}/help lists them; begin with a space to say it to the model"
