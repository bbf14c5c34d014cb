"""What a flag's value may be, beyond what click knows. Refuses to know which flag it is for."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runtime.engine.placement import TensorBuffer, WorkerAddress
    from runtime.engine.settings import MetadataOverride
    from runtime.settings import DiskSettings, HubModel

INT32 = 2**31 - 1
"""What llama.cpp counts with, at most."""

FLOAT32 = 3.4e38
"""Beyond it, C's `float` has none but infinity."""

WORKER_PORT = 50052
"""Where workers listen unless told otherwise, llama.cpp's own too."""

MOST_WORKERS = 16
"""GGML_RPC_MAX_SERVERS in ggml-rpc.h."""

_GPU_NAMES = ("auto", "cuda", "rocm", "vulkan", "metal", "disable")
_GPU_ALIASES = {"nvidia": "cuda", "amd": "rocm", "apple": "metal", "disabled": "disable"}
_WORKER = re.compile(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?::(\d{1,5}))?")
_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([A-Za-z0-9][\w.-]*))?", re.ASCII)
_ORIGIN = re.compile(
    r"""\* | (?! https?://\*(:|$)) [a-z][a-z0-9+.-]*://
        (\* | (\*\.)? ([^\s/?#@*:,]+ | \[[0-9a-f:.]+\])) (:(\d{1,5}|\*))?""",
    re.VERBOSE,
)
"""A star stands for a whole host of an app's own scheme, for one or more labels before a name, or for a port."""

_SERVER = re.compile(r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:/[\w.~%/-]*)?", re.ASCII)
_METADATA = re.compile(r"([^=\0]+)=(?:(int|float):([^\0]+)|(bool):(true|false)|(str):([^\0]*))")
_LONGEST_METADATA = 128
"""`llama_model_kv_override` in llama.h, with the null at the end."""

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


_LOCALHOST = tuple(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1", "[::1]")
)
"""What llama-server calls `localhost`."""


_FOLDER_AND_SIZE = re.compile(r"(.+)=(\d+(?:\.\d+)?) ?([KMGT])(i?)B?", re.IGNORECASE)
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


class CommaList(click.ParamType[tuple[str, ...]]):
    """`a,b` as a tuple of its parts, without the space around them; an empty part is a slip, and refused."""

    name = "list"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.fail("a part of the list is empty.", param, ctx)
        return parts


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


class Origins(CommaList):
    """Origins as browsers send them (RFC 6454, 6.2): `scheme://host[:port]`, with stars in places, or `*`.

    `localhost` stands for this machine's own, at any port.
    """

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        given = (origin.lower().rstrip("/") for origin in super().convert(value, param, ctx))
        origins = tuple(one for origin in given for one in (_LOCALHOST if origin == "localhost" else (origin,)))
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                example = "https://example.org:8443, http://*.example.org, app://*"
                self.fail(f"{origin!r} is no origin, as in {example}, nor '*'.", param, ctx)
        return origins


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


class Shares(click.ParamType[tuple[float, ...]]):
    """`3,1` or `3/1` as a tuple of its numbers, of which one at least is more than nothing."""

    name = "list"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        shares = tuple(FiniteNumber(0).convert(part, param, ctx) for part in value.replace("/", ",").split(","))
        if not any(shares):
            self.fail("all shares are 0.", param, ctx)
        return shares


class SplitModeName(click.Choice[str]):
    """`none` or `layer`. llama.cpp has more, and none of the backends that bundles carry can do them."""

    def __init__(self) -> None:
        super().__init__(["none", "layer"])

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in ("row", "tensor"):
            self.fail(f"CUDA, ROCm and Vulkan share models by layers only: {value} is not there.", param, ctx)
        return str(super().convert(value, param, ctx))


class Mebibytes(click.ParamType[tuple[int, ...]]):
    """`1024` or `1024,512` as a tuple of bytes."""

    name = "list"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        most = 2**24
        return tuple(Whole(0, most).convert(part, param, ctx) * 2**20 for part in value.replace("/", ",").split(","))


class TensorBuffers(click.ParamType["tuple[TensorBuffer, ...]"]):
    """`PATTERN=BUFFER,PATTERN=BUFFER`."""

    name = "PATTERN=BUFFER"

    def convert(
        self, value: str | tuple[TensorBuffer, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[TensorBuffer, ...]:
        from runtime.engine.placement import TensorBuffer

        if isinstance(value, tuple):
            return value
        places = []
        for part in CommaList().convert(value, param, ctx):
            pattern, equals, buffer = part.partition("=")
            if not (equals and pattern and buffer) or "\0" in part:
                self.fail(f"{part!r} is no PATTERN=BUFFER, as in '\\.ffn_.*_exps=CPU'.", param, ctx)
            try:
                re.compile(pattern)  # llama.cpp reads it as ECMAScript does: what is wrong in one is wrong in both
            except re.error as error:
                self.fail(f"{pattern!r} is no regular expression: {error}.", param, ctx)
            places.append(TensorBuffer(pattern, buffer))
        return tuple(places)


class Metadata(click.ParamType["tuple[MetadataOverride, ...]"]):
    """`KEY=TYPE:VALUE,KEY=TYPE:VALUE`, in which TYPE is int, float, bool or str, as llama.cpp has it."""

    name = "KEY=TYPE:VALUE"

    def convert(
        self, value: str | tuple[MetadataOverride, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[MetadataOverride, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(self._override(part, param, ctx) for part in CommaList().convert(value, param, ctx))

    def _override(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> MetadataOverride:
        from runtime.engine.settings import MetadataOverride

        match = _METADATA.fullmatch(text)
        if match is None:
            example = "tokenizer.ggml.add_bos_token=bool:false"
            self.fail(
                f"{text!r} is no KEY=int:N, KEY=float:X, KEY=bool:true or KEY=str:TEXT, as in {example}.", param, ctx
            )
        key, kind, said = (group for group in match.groups() if group is not None)
        if len(key.encode()) >= _LONGEST_METADATA or len(said.encode()) >= _LONGEST_METADATA:
            self.fail(f"{text!r} is too long: key and text may have {_LONGEST_METADATA - 1} bytes each.", param, ctx)
        if kind == "bool":
            return MetadataOverride(key, said == "true")
        if kind == "int":
            return MetadataOverride(key, Whole(-(2**63), 2**63 - 1).convert(said, param, ctx))
        return MetadataOverride(key, FiniteNumber().convert(said, param, ctx) if kind == "float" else said)


class ServerAddresses(click.ParamType["tuple[str, ...]"]):
    """`http://host:port,https://host/path`, each once, without what is behind a path."""

    name = "list"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        urls = tuple(CommaList().convert(value, param, ctx))
        for url in urls:
            match = _SERVER.fullmatch(url)
            if match is None:
                self.fail(f"{url!r} is no address of a server, as in http://10.0.0.2:8080.", param, ctx)
            if match[1] is not None:
                Whole(1, 65535).convert(match[1], param, ctx)
        if len(set(urls)) < len(urls):
            self.fail("a server is named twice.", param, ctx)
        return urls


class WorkerAddresses(click.ParamType["tuple[WorkerAddress, ...]"]):
    """`host:port,host:port`: names or IPv4 addresses, each once, without a port at `WORKER_PORT`."""

    name = "list"

    def convert(
        self, value: str | tuple[WorkerAddress, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[WorkerAddress, ...]:
        if isinstance(value, tuple):
            return value
        workers = tuple(self._worker(part, param, ctx) for part in CommaList().convert(value, param, ctx))
        if len(workers) > MOST_WORKERS:
            self.fail(f"{len(workers)} workers, and llama.cpp takes {MOST_WORKERS}.", param, ctx)
        if len(set(workers)) < len(workers):
            self.fail("a worker is named twice.", param, ctx)
        return workers

    def _worker(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> WorkerAddress:
        from runtime.engine.placement import WorkerAddress

        match = _WORKER.fullmatch(text)
        if match is None:
            self.fail(f"{text!r} is no HOST:PORT, as in 192.168.1.20:{WORKER_PORT}.", param, ctx)
        return WorkerAddress(match[1].lower(), Whole(1, 65535).convert(match[2] or WORKER_PORT, param, ctx))
