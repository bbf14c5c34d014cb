"""A bundle that is not as it was built, or not to be trusted."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import LoafError


class UnsafeEntryName(LoafError):
    """An archive names an entry that would be written outside the folder it is extracted to, or whose name is none."""

    def __init__(self, bundle: Path, name: str) -> None:
        message = f"{bundle}: refuses to write its entry {name!r} to disk"
        super().__init__(message, "The file was tampered with.")
        self.bundle = bundle
        self.name = name


_SHOWN = 20


class BundleNotIntact(LoafError):
    """`damages` names each damaged part and what is wrong with it."""

    def __init__(self, path: Path, damages: list[str]) -> None:
        shown = [f"  {line}" for line in damages[:_SHOWN]]
        more = [f"  and {len(damages) - _SHOWN:,} more"] if len(damages) > _SHOWN else []
        super().__init__(f"{path}: is damaged", "\n".join(shown + more))
        self.path = path
        self.damages = damages


class TrustError(LoafError):
    """Signing a bundle, or checking who signed it."""


class KeyUnusable(TrustError):
    """What was given is not a key, or not one that can be used. `problem` says why."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the key cannot be used: {problem}", "Keys are made with: minisign -G")
        self.problem = problem


class NotSigned(TrustError):
    """There is no file with a signature of `path`."""

    def __init__(self, path: Path, signature: Path) -> None:
        super().__init__(
            f"{path}: there is no signature of it: {signature} is missing", "Get it from where the bundle is from."
        )
        self.path = path
        self.signature = signature


class SignatureWrong(TrustError):
    """The signature of `path` does not prove that the file is from the owner of the key."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: is not to be trusted: {problem}", "Get the bundle and its signature again.")
        self.path = path
        self.problem = problem


class ChangeUnfinished(TrustError):
    """A change of the bundle was interrupted, and what it left would be signed, too."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: a change of it was interrupted", "Do it again, then sign it.")
        self.path = path
