"""`loaf sign` and `loaf verify --key`: who vouches for a bundle.

Knows where keys and signatures lie. Refuses to know how they are computed (`minisign.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bundler.errors import ChangeUnfinished, NotSigned
from bundler.file.copying import Advance, write_all
from bundler.file.replacing import replacing
from bundler.trust import minisign
from runtime.bundle import open_bundle, read_head

_MOST_TEXT = 64 * 1024


def sign_bundle(path: Path, key: Path, ask_password: Callable[[], str], advance: Advance) -> Path:
    """Sign the bundle at `path`; returns the file with the signature, beside it.

    Raises `BundleError`, `ChangeUnfinished`, `KeyUnusable`, `OSError`.
    """
    bundle = open_bundle(path)
    if not read_head(path).is_settled:
        raise ChangeUnfinished(path)
    secret = minisign.parse_secret_key(_read(key), ask_password)
    name = "".join(character if character.isprintable() else "?" for character in path.name)
    comment = f"timestamp:{int(time.time())}\tfile:{name}\tbuild:{bundle.manifest.build_id}\thashed"
    text = minisign.sign(path, secret, comment, advance)
    target = signature_of(path)
    with replacing(target, 0o666) as fd:
        write_all(fd, text.encode(), 0)
    return target


def check_signature(path: Path, key: str, advance: Advance) -> str:
    """What is said, and can be trusted, in the signature of the file at `path` by `key`: one itself, or its file.

    Raises `NotSigned`, `SignatureWrong`, `KeyUnusable`, `OSError`.
    """
    public = minisign.parse_public_key(_read(Path(key)) if Path(key).is_file() else key)
    if not signature_of(path).is_file():
        raise NotSigned(path, signature_of(path))
    signature = minisign.parse_signature(path, _read(signature_of(path)))
    minisign.check(path, signature, public, advance)
    return signature.comment


def signature_of(path: Path) -> Path:
    """Where the signature of the file at `path` lies."""
    return path.with_name(f"{path.name}.minisig")


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_MOST_TEXT)
