"""What a flag's value may be, beyond what click knows. Refuses to know which flag it is for."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runtime.settings import DiskSettings, HubModel

INT32 = 2**31 - 1
"""What llama.cpp counts with, at most."""

FLOAT32 = 3.4e38
"""Beyond it, C's `float` has none but infinity."""

_GPU_NAMES = ("auto", "cuda", "rocm", "vulkan", "metal", "disable")
_GPU_ALIASES = {"nvidia": "cuda", "amd": "rocm", "apple": "metal", "disabled": "disable"}
_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([A-Za-z0-9][\w.-]*))?", re.ASCII)
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


_FOLDER_AND_SIZE = re.compile(r"(.+)=(\d{1,12}(?:\.\d+)?) ?([KMGT])(i?)B?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


class FolderAndSize(click.ParamType["DiskSettings"]):
    """A folder, and how much of it: `/var/cache/model=10G`; `GiB` and the like count in steps of 1,024."""

    name = "DIR=SIZE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> DiskSettings:
        from runtime.settings import DiskSettings  # most programs have none

        found = _FOLDER_AND_SIZE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r}: must be DIR=SIZE, as in /var/cache/model=10G", param, ctx)
        step = 1024 if found[4] else 1000
        return DiskSettings(Path(found[1]), int(float(found[2]) * step ** _POWERS[found[3].lower()]))


class Whole(click.ParamType[int]):
    """An integer with limits. The help says what numbers mean, so click's own ranges would only be noise there."""

    name = "N"

    def __init__(self, minimum: int = -INT32, maximum: int = INT32) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        if not self._minimum <= number <= self._maximum:
            self.fail(f"{value} is not from {self._minimum} to {self._maximum}.", param, ctx)
        return number


class FiniteNumber(click.ParamType[float]):
    """A float with a meaning: "nan" and "inf" are floats for Python, and pass every range."""

    name = "x"

    def __init__(self, minimum: float = -math.inf, *, above: float = -math.inf) -> None:
        self._minimum = minimum
        self._above = above

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not abs(number) <= FLOAT32:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if number < self._minimum:
            self.fail(f"{value} is less than {self._minimum:g}.", param, ctx)
        if number <= self._above:
            self.fail(f"{value} is not more than {self._above:g}.", param, ctx)
        return number


class FileMode(click.ParamType[int]):
    """The permissions of a file, in octal digits. Nothing but read, write and execute: no set-user-ID."""

    name = "MODE"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch("(0o?)?[0-7]{3}", value):
            self.fail(f"{value!r} are no permissions, as in 660.", param, ctx)
        return int(value.removeprefix("0o"), 8)


class PathPrefix(click.ParamType[str]):
    """A path, given with or without slashes around it; none for "" and "/"."""

    name = "PATH"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        bare = value.strip("/")
        path = f"/{bare}" if bare else ""
        if path and not _PREFIX.fullmatch(path):
            self.fail(f"{value!r} is no path of letters, digits, '-', '.', '_' and '~', as in /llm.", param, ctx)
        return path


class HubName(click.ParamType["HubModel"]):
    """`OWNER/REPO[:QUANT]`."""

    name = "OWNER/REPO[:QUANT]"

    def convert(self, value: str | HubModel, param: click.Parameter | None, ctx: click.Context | None) -> HubModel:
        from runtime.settings import HubModel

        if isinstance(value, HubModel):
            return value
        match = _HUB_NAME.fullmatch(value)
        if match is None or ".." in value:
            self.fail(f"{value!r} is no OWNER/REPO or OWNER/REPO:QUANT, as in ggml-org/gemma-3-1b-it-GGUF.", param, ctx)
        return HubModel(match[1], match[2] or "")


class GpuName(click.ParamType[str]):
    """A backend, also by the names that llamafile has for its --gpu."""

    name = "NAME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = _GPU_ALIASES.get(value.lower(), value.lower())
        if name not in _GPU_NAMES:
            self.fail(f"{value!r} is none of {', '.join(_GPU_NAMES)}.", param, ctx)
        return name


class LayerCount(click.ParamType["int | None"]):
    """A number of layers; None for "auto". llama-server's -1 is auto, too, and -2 all."""

    name = "N"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in ("auto", "-1", -1):
            return None
        if value in ("all", "-2", -2):
            return INT32
        return Whole(0).convert(value, param, ctx)


class SplitModeName(click.Choice[str]):
    """`none` or `layer`. llama.cpp has more, and none of the backends that bundles carry can do them."""

    def __init__(self) -> None:
        super().__init__(["none", "layer"])

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in ("row", "tensor"):
            self.fail(f"CUDA, ROCm and Vulkan share models by layers only: {value} is not there.", param, ctx)
        return str(super().convert(value, param, ctx))
