"""Why a request is turned away before anything has looked at what it asks for."""

from __future__ import annotations

from runtime.errors import LoafError


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
        super().__init__("Invalid API Key")


class MalformedRequest(LoafError):
    """Bytes that are no HTTP, or a body that is not what its headers say; `reason` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no valid HTTP: {reason}")
        self.reason = reason


class HeadersTooLarge(LoafError):
    """One of the lines before the body is too long, or there are too many."""

    def __init__(self) -> None:
        super().__init__("the request's address or one of its headers is too long")


class SlowBody(LoafError):
    """The body stopped coming, or came in drops."""

    def __init__(self) -> None:
        super().__init__("the request's body came too slowly", "The server's --timeout says how long it waits.")


class TooManyConnections(LoafError):
    """As many clients are connected as the server, or the system, has room for."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most:,} clients are connected, and that is all there is room for")
        self.most = most
