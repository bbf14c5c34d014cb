"""What was asked, and how it was answered. Refuses to know how that is come by (`recorder.py`), and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Exchange:
    """A request and its answer. `status` 0 and `complete` False: not answered yet, or not to the end.

    `was_left`: whoever asked did not wait for the end.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    said: bytearray = field(default_factory=bytearray)
    complete: bool = False
    was_left: bool = False
