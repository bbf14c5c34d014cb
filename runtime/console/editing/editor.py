"""A question as it is typed: several lines, those of before, commands completed. Knows prompt_toolkit and its keys."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.completion.filesystem import PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding.key_bindings import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts.prompt import CompleteStyle, PromptSession

from runtime.console.commands import COMMANDS
from runtime.console.standard_input import repaired

_WITH_FILES = frozenset(f"/{name}" for name, form in COMMANDS.items() if form.takes == "FILE")
_MARK, _MARK_BELOW = "> ", "… "


class Editor:
    """Reads from the terminal. What is typed is remembered until the program ends."""

    def __init__(self) -> None:
        self._session: PromptSession[str] = PromptSession(
            [("bold", _MARK)],
            multiline=True,
            prompt_continuation=_MARK_BELOW,
            key_bindings=_keys(),
            completer=_Commands(),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            history=InMemoryHistory(),
        )

    async def read(self) -> str:
        """Raises `EOFError` for Ctrl-D, and `KeyboardInterrupt` for Ctrl-C. What others print comes above it."""
        with patch_stdout(raw=True):
            return repaired(await self._session.prompt_async(handle_sigint=False))


def _keys() -> KeyBindings:
    """Enter sends, unless a backslash is before it; with Alt it begins a line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _alt_enter(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys


class _Commands(Completer):
    """Names of commands, and of files after those that take one."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        command, space, argument = text.partition(" ")
        if not command.startswith("/"):
            return
        if not space:
            yield from (Completion(name, -len(command) + 1) for name in COMMANDS if name.startswith(command[1:]))
        elif command in _WITH_FILES:
            yield from self._paths.get_completions(Document(argument, len(argument)), complete_event)
