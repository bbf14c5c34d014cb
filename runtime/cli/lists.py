"""What a flag's value may be where it is several, separated by commas. Refuses to know which flag it is for."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

import click

from runtime.cli.values import FiniteNumber, Whole

if TYPE_CHECKING:
    from runtime.engine.placement import TensorBuffer, WorkerAddress
    from runtime.engine.settings import MetadataOverride

T = TypeVar("T")

WORKER_PORT = 50052
"""Where workers listen unless told otherwise, llama.cpp's own too."""

MOST_WORKERS = 16
"""GGML_RPC_MAX_SERVERS in ggml-rpc.h."""

_WORKER = re.compile(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?::(\d{1,5}))?")
_ORIGIN = re.compile(
    r"""\* | (?! https?://\*(:|$)) [a-z][a-z0-9+.-]*://
        (\* | (\*\.)? ([^\s/?#@*:,]+ | \[[0-9a-f:.]+\])) (:(\d{1,5}|\*))?""",
    re.VERBOSE,
)
"""A star stands for a whole host of an app's own scheme, for one or more labels before a name, or for a port."""

_LOCALHOST = tuple(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1", "[::1]")
)
"""What llama-server calls `localhost`."""

_SERVER = re.compile(r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:/[\w.~%/-]*)?", re.ASCII)
_METADATA = re.compile(r"([^=\0]+)=(?:(int|float):([^\0]+)|(bool):(true|false)|(str):([^\0]*))")
_LONGEST_METADATA = 128
"""`llama_model_kv_override` in llama.h, with the null at the end."""


class ListOf(click.ParamType[tuple[T, ...]], ABC):
    """Several, as a tuple. What is one already was parsed before."""

    name = "list"

    def convert(
        self, value: str | tuple[T, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[T, ...]:
        return value if isinstance(value, tuple) else self.parse(value, param, ctx)

    @abstractmethod
    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[T, ...]:
        """Raises `click.BadParameter`."""


class CommaList(ListOf[str]):
    """`a,b` as a tuple of its parts, without the space around them; an empty part is a slip, and refused."""

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        parts = tuple(part.strip() for part in text.split(","))
        if not all(parts):
            self.fail("a part of the list is empty.", param, ctx)
        return parts


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


class Shares(ListOf[float]):
    """`3,1` or `3/1` as a tuple of its numbers, of which one at least is more than nothing."""

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        shares = tuple(FiniteNumber(0).convert(part, param, ctx) for part in text.replace("/", ",").split(","))
        if not any(shares):
            self.fail("all shares are 0.", param, ctx)
        return shares


class Mebibytes(ListOf[int]):
    """`1024` or `1024,512` as a tuple of bytes."""

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        most = 2**24
        return tuple(Whole(0, most).convert(part, param, ctx) * 2**20 for part in text.replace("/", ",").split(","))


class TensorBuffers(ListOf["TensorBuffer"]):
    """`PATTERN=BUFFER,PATTERN=BUFFER`."""

    name = "PATTERN=BUFFER"

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[TensorBuffer, ...]:
        from runtime.engine.placement import TensorBuffer

        places = []
        for part in CommaList().parse(text, param, ctx):
            pattern, equals, buffer = part.partition("=")
            if not (equals and pattern and buffer) or "\0" in part:
                self.fail(f"{part!r} is no PATTERN=BUFFER, as in '\\.ffn_.*_exps=CPU'.", param, ctx)
            try:
                re.compile(pattern)  # llama.cpp reads it as ECMAScript does: what is wrong in one is wrong in both
            except re.error as error:
                self.fail(f"{pattern!r} is no regular expression: {error}.", param, ctx)
            places.append(TensorBuffer(pattern, buffer))
        return tuple(places)


class Metadata(ListOf["MetadataOverride"]):
    """`KEY=TYPE:VALUE,KEY=TYPE:VALUE`, in which TYPE is int, float, bool or str, as llama.cpp has it."""

    name = "KEY=TYPE:VALUE"

    def parse(
        self, text: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[MetadataOverride, ...]:
        return tuple(self._override(part, param, ctx) for part in CommaList().parse(text, param, ctx))

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


class ServerAddresses(ListOf[str]):
    """`http://host:port,https://host/path`, each once, without what is behind a path."""

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        urls = CommaList().parse(text, param, ctx)
        for url in urls:
            match = _SERVER.fullmatch(url)
            if match is None:
                self.fail(f"{url!r} is no address of a server, as in http://10.0.0.2:8080.", param, ctx)
            if match[1] is not None:
                Whole(1, 65535).convert(match[1], param, ctx)
        if len(set(urls)) < len(urls):
            self.fail("a server is named twice.", param, ctx)
        return urls


class WorkerAddresses(ListOf["WorkerAddress"]):
    """`host:port,host:port`: names or IPv4 addresses, each once, without a port at `WORKER_PORT`."""

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[WorkerAddress, ...]:
        workers = tuple(self._worker(part, param, ctx) for part in CommaList().parse(text, param, ctx))
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
