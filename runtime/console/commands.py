"""Commands of the chat: what a line that begins with `/` means. Pure; what they do, `chat.py` knows."""

from __future__ import annotations

import difflib
import re
from typing import Literal

import msgspec

Name = Literal["help", "system", "clear", "undo", "retry", "image", "audio", "save", "load", "model", "stats", "exit"]


class Command(msgspec.Struct, frozen=True):
    """A command, and the rest of its line without the space around it."""

    name: Name
    argument: str = ""


class Mistake(msgspec.Struct, frozen=True):
    """A line that looks like a command and is none; `reason` is for people."""

    reason: str


class _Form(msgspec.Struct, frozen=True):
    group: str
    takes: str
    help: str


_TALK, _FILES, _MODEL, _CHAT, _KEYS = "The conversation", "Files", "The model", "The chat", "Keys"

COMMANDS: dict[Name, _Form] = {
    "system": _Form(_TALK, "[TEXT]", "The system prompt: show it, set it, or remove it with a single -."),
    "retry": _Form(_TALK, "", "Answer the last question anew."),
    "undo": _Form(_TALK, "", "Take the last question and its answer back."),
    "clear": _Form(_TALK, "", "Begin a new conversation; the system prompt stays."),
    "save": _Form(_FILES, "FILE", "Write the conversation to a file, as JSON."),
    "load": _Form(_FILES, "FILE", "Go on with the conversation of a file."),
    "image": _Form(_FILES, "FILE", "Show a picture with what is asked next; so does dropping it here."),
    "audio": _Form(_FILES, "FILE", "Play a sound with what is asked next, in the same way."),
    "model": _Form(_MODEL, "[NAME]", "Go on with another model of this file; without a name, say which there are."),
    "stats": _Form(_MODEL, "", "How full the context is, and how fast the last answer was."),
    "help": _Form(_CHAT, "", "These lines."),
    "exit": _Form(_CHAT, "", "End it; so do /bye, quit and exit."),
}
"""All of them; an argument in brackets may be left out."""

_GOODBYES = frozenset({"/bye", "/quit", "quit", "exit"})
"""How other programs' chats are ended, which nobody says to a model."""

_LINE = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)


def parse(text: str) -> Command | Mistake | None:
    """What `text` asks for; None where it is said to the model, as paths are (`/etc/passwd holds what?`)."""
    if text.strip().lower() in _GOODBYES:
        return Command("exit")
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


def help_groups() -> dict[str, list[tuple[str, str]]]:
    """(what is written, what it does), for commands and keys, by the name of their group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, form in COMMANDS.items():
        groups.setdefault(form.group, []).append((f"/{name} {form.takes}".rstrip(), form.help))
    groups[_KEYS] = [
        ("Alt-Enter", "A new line; so does \\ at the end of one, and lines that are pasted stay lines."),
        ("Ctrl-C", "Stop the answer, or forget what is typed."),
        ("Ctrl-D", "End the chat."),
    ]
    return groups


_ELSEWHERE = {
    "set": "/system sets the system prompt; all else is set by flags, as in --temp 0.5",
    "show": "/model and /stats say what runs, and --info what is in the file",
}
"""What Ollama's chat has, and how it is done here."""


def _unknown(name: str) -> str:
    if name in _ELSEWHERE:
        return f"there is no command /{name}: {_ELSEWHERE[name]}"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"Is /{near[0]} meant? " if near else ""
    return f"there is no command /{name}. {hint}/help lists them; begin with a space to say it to the model"
