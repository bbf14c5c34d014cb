"""What the system says of a process that is tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path


def peak_of(process: int) -> Callable[[], int]:
    """Call it for the bytes by which the memory of `process` has been above what it is now, at most, since now."""
    folder = Path(f"/proc/{process}")
    (folder / "clear_refs").write_text("5")  # proc(5): the peak is what there is
    before = _status(folder, "VmRSS")
    return lambda: _status(folder, "VmHWM") - before


def memory_of(process: int) -> int:
    """Bytes that it has in memory."""
    return _status(Path(f"/proc/{process}"), "VmRSS")


def _status(folder: Path, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", (folder / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
