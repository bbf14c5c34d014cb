"""What llama.cpp's mixes of types are called: `Q4_K_M`, and the other names that people know them by.

The names are those of `QUANT_OPTIONS` in llama.cpp's tools/quantize/quantize.cpp.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from bundler.errors import NoSuchFileType
from bundler.gguf.types import FILE_TYPES

_OTHER_NAMES = {
    "Q3_K": "Q3_K_M",
    "Q4_K": "Q4_K_M",
    "Q5_K": "Q5_K_M",
    "MXFP4_MOE": "MXFP4",
    "FP16": "F16",
    "FP32": "F32",
}
_ONLY_READ = {"NVFP4"}
"""llama.cpp loads it and does not make it."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A mix of types: `id` is its `llama_ftype`."""

    id: int
    name: str


_FILE_TYPES = {name: FileType(id_, name) for id_, name in FILE_TYPES.items() if name not in _ONLY_READ}


def file_types() -> tuple[str, ...]:
    """The names of all mixes that can be made."""
    return tuple(sorted(_FILE_TYPES))


def find_file_type(name: str) -> FileType:
    """The mix called `name`, in any case. Raises `NoSuchFileType`."""
    wanted = name.upper().replace("-", "_")
    found = _FILE_TYPES.get(_OTHER_NAMES.get(wanted, wanted))
    if found is None:
        near = difflib.get_close_matches(wanted, [*_FILE_TYPES, *_OTHER_NAMES], n=1, cutoff=0.5)
        raise NoSuchFileType(name, near[0] if near else None, sorted(_FILE_TYPES))
    return found
