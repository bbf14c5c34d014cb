"""What can go wrong between a person, or a pipe, and the model.

LoafError
├── InputTooLarge           more came on standard input than anything could read
├── InputNotText            what came there is no text
├── NoPrompt                there is nothing to answer
├── AnswerCutOff            the answer ended before the model ended it
├── NoTerminal              a chat needs one
├── NoSuchWriter            none of the chat's models is called so
└── ConversationUnreadable  a file holds no conversation
"""

from __future__ import annotations

from pathlib import Path

from runtime.errors import LoafError


class InputTooLarge(LoafError):
    """`limit` in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"standard input has more than {limit:,} bytes", "Give it a part of them (head -c 100000).")
        self.limit = limit


class InputNotText(LoafError):
    """A NUL byte came, which no text in UTF-8 has; `offset` says where."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"standard input is not text: byte {offset:,} is 0",
            "Convert it first: UTF-16 with iconv -f UTF-16, a document with a program of its own.",
        )
        self.offset = offset


class NoPrompt(LoafError):
    """Neither a flag nor standard input says anything."""

    def __init__(self) -> None:
        super().__init__("the prompt is empty", "Give one with -p TEXT, with -f FILE or on standard input.")


class AnswerCutOff(LoafError):
    """`limit` is what ended the answer too early."""

    def __init__(self, limit: str, hint: str) -> None:
        super().__init__(f"the answer is not whole: {limit}", hint)
        self.limit = limit


class NoTerminal(LoafError):
    """Standard input or output is a pipe or a file."""

    def __init__(self) -> None:
        super().__init__("--chat needs a terminal", "In a pipe, -p TEXT answers once.")


class NoSuchWriter(LoafError):
    """No model of this `name` writes text."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model {name} that writes text", "/model lists those that do.")
        self.name = name


class ConversationUnreadable(LoafError):
    """`reason` says what is wrong with the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: no conversation: {reason}", 'It must be JSON: {"messages": [{"role": …, "content": …}]}'
        )
        self.path = path
        self.reason = reason
