"""Why a request is turned away: what it asks for, and, further below, before anything has looked at that.

Refuses to know what a client is told of it (`errors.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.errors import LoafError


class BadRequest(LoafError):
    """The request says something that cannot be done. `field` is the part of it that is wrong.

    A message that is a rule ("must be", "at most") says what to do itself; others come with a `hint`.
    """

    def __init__(self, message: str, field: str = "", hint: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class UnknownModel(LoafError):
    """The file holds several models, and none of this name; `names` are theirs."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(f"model '{name}' not found", f"There are: {', '.join(names)}.")
        self.name = name
        self.names = tuple(names)


class UnknownAnswer(LoafError):
    """Nothing is known of the answer of this id: it was not to be kept, or it had to make room for others."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"there is no answer {id_!r} (any more)", "Send the whole conversation.")
        self.id = id_


class ModelsFixed(LoafError):
    """`action` would change which models there are; `names` are theirs."""

    def __init__(self, action: str, names: Sequence[str]) -> None:
        super().__init__(
            f"cannot {action}: the models of this file are fixed: {', '.join(names)}",
            "Another one is built with: loaf build MODEL.gguf",
        )
        self.action = action
        self.names = tuple(names)


class CannotInfill(LoafError):
    """The model was not trained to fill gaps."""

    def __init__(self) -> None:
        super().__init__("this model cannot fill gaps: its vocabulary has no tokens for it", "Ask a model for code.")


class SwitchedOff(LoafError):
    """The server was started without it; `flag` turns it on."""

    def __init__(self, what: str, flag: str) -> None:
        super().__init__(f"this server does not offer {what}", f"Start it with {flag}.")
        self.flag = flag


class NoSlotFree(LoafError):
    """Every slot has a request that runs, and the client wants to know just that."""

    def __init__(self) -> None:
        super().__init__("no slot available", "Try again when a request has ended; --parallel gives more of them.")


class NoStateFolder(LoafError):
    """Nobody said where states may be kept."""

    def __init__(self) -> None:
        super().__init__("this server keeps no slot states", "Start it with --slot-save-path FOLDER.")


class CannotRerank(LoafError):
    """The model makes vectors, not scores. `others` are models of the same bundle that make them."""

    def __init__(self, others: Sequence[str] = ()) -> None:
        hint = f"Ask {' or '.join(others)}." if others else "Ask a reranking model, or start with --pooling rank."
        super().__init__("this model cannot rerank", hint)
        self.others = tuple(others)


class ForeignHost(LoafError):
    """The server listens on loopback only, and was asked by the name of something else."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host!r} is not a name of this machine's loopback",
            "Ask http://localhost, or start with --cors-origins and the address that a proxy is asked by.",
        )
        self.host = host


class ForeignOrigin(LoafError):
    """A web page asked that is not the server's own and has not been allowed to."""

    def __init__(self, origin: str) -> None:
        super().__init__(f"web pages of {origin!r} may not use this server", "--cors-origins allows it.")
        self.origin = origin


class InvalidKey(LoafError):
    """No key, or none that is known. What came is not told: it may be nearly right."""

    def __init__(self) -> None:
        super().__init__("Invalid API Key", "Send one that the server knows: Authorization: Bearer KEY.")


class MalformedRequest(LoafError):
    """Bytes that are no HTTP, or a body that is not what its headers say; `reason` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no valid HTTP: {reason}", "Send it with a program that speaks HTTP/1.1 (curl).")
        self.reason = reason


class HeadersTooLarge(LoafError):
    """One of the lines before the body is too long, or there are too many."""

    def __init__(self) -> None:
        super().__init__("the request's address or one of its headers is too long", "Long texts belong into the body.")


class SlowBody(LoafError):
    """The body stopped coming, or came in drops."""

    def __init__(self) -> None:
        super().__init__("the request's body came too slowly", "The server's --timeout says how long it waits.")


class ServerStopping(LoafError):
    """What has begun is finished, and nothing else is begun."""

    def __init__(self) -> None:
        super().__init__("this server is stopping", "Try again in a moment: another may take its place.")


class BodiesTooLarge(LoafError):
    """Each of the bodies that are being received or answered may be as large as it is, but not all of them."""

    def __init__(self) -> None:
        super().__init__("too many large requests at once", "Try again in a moment.")


class TooManyConnections(LoafError):
    """As many clients are connected as the server, or the system, has room for."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most:,} clients are connected, and that is all there is room for", "Try again in a moment.")
        self.most = most
