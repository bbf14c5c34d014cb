"""A pseudo-terminal with a program in it, and a person at the keyboard."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

ENTER, ALT_ENTER, CTRL_C, CTRL_D, TAB, UP = "\r", "\x1b\r", "\x03", "\x04", "\t", "\x1b[A"
READY = "\x1b[?2004h"
"""Bracketed paste is switched on: a question may be typed."""


class Terminal:
    """A program in a pseudo-terminal of `columns`; `environment` says which kind it is."""

    def __init__(self, command: list[str | Path], environment: dict[str, str], columns: int = 80) -> None:
        self._controller, program = pty.openpty()
        self.resize(columns)
        self._process = subprocess.Popen(
            command, env=environment, stdin=program, stdout=program, stderr=program, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._program = program
        self.said = ""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def until(self, text: str, seconds: float = 30) -> str:
        """What is shown until `text` comes: from there on it is looked for next time."""
        deadline = time.monotonic() + seconds
        while text not in self.said:
            has_ended = self._process.poll() is not None
            readable, _, _ = select.select([self._controller], [], [], 0 if has_ended else 0.5)
            assert readable or not (has_ended or time.monotonic() > deadline), f"{text!r} did not come: {self.said!r}"
            if not readable:
                continue
            data = os.read(self._controller, 65536)
            if b"\x1b[6n" in data:  # where is the cursor? at the left
                os.write(self._controller, b"\x1b[1;1R")
            self.said += data.decode(errors="replace")
        shown, _, self.said = self.said.partition(text)
        return plain(shown)

    def ask(self, text: str) -> str:
        """The answer to a line that is typed, without it."""
        self.type(f"{text}{ENTER}")
        self.until("\x1b[?2004l")
        return self.until(READY).replace("\r\n", "\n")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Waits for the program's end, and reads what it says until then."""
        deadline = time.monotonic() + 30
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end: {self.said!r}"
            if select.select([self._controller], [], [], 0.05)[0]:
                self.said += os.read(self._controller, 65536).decode(errors="replace")
        return self._process.returncode

    def until_keys_are_read(self) -> None:
        """Waits until the program takes each key itself: an end of input from before that would be lost."""
        deadline = time.monotonic() + 30
        while termios.tcgetattr(self._program)[3] & termios.ICANON:
            assert time.monotonic() < deadline, f"it reads lines: {self.said!r}"
            time.sleep(0.01)

    def is_as_before(self) -> bool:
        """Whether what is typed is shown and edited again, as in a shell."""
        modes = termios.tcgetattr(self._program)
        return bool(modes[3] & termios.ECHO and modes[3] & termios.ICANON and modes[0] & termios.ICRNL)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._controller)
        os.close(self._program)


def plain(shown: str) -> str:
    """Without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
