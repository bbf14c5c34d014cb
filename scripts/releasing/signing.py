"""minisign's signature of a file that is no bundle. It says no time, so the same file has the same signature."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bundler.trust import minisign
from bundler.trust.signing import signature_of


def sign_file(path: Path, key: Path, comment: str) -> None:
    """Raises `KeyUnusable`, `OSError`."""
    secret = minisign.parse_secret_key(key.read_text(encoding="utf-8", errors="replace"), _ask_password)
    signature_of(path).write_text(minisign.sign(path, secret, comment, lambda _bytes: None))


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password of the key", hide_input=True, err=True))
