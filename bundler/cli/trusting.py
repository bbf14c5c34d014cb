"""Commands that say whether a bundle is what it was, and who vouches for it."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", metavar="KEY", help="Also check that this key signed it: minisign.pub, or its text.")
def verify(file: Path, key: str | None) -> None:
    """Check that every byte of the bundle FILE is as it was built."""
    from bundler.errors import BundleNotIntact
    from bundler.looking.verify import verify as verify_bundle
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle, read_head
    from runtime.errors import escaped

    bundle = open_bundle(file)
    if key is not None:
        _check_signature(file, key)
    total = sum(entry.size for entry in bundle.manifest.entries)
    with progress_for().step(f"Verifying {file}", total, "bytes") as advance:
        damages = verify_bundle(bundle, advance)
    if damages:
        raise BundleNotIntact(file, [escaped(f"{damage.part}: {damage.problem}") for damage in damages])
    click.echo(f"{file}: intact, build {bundle.manifest.build_id[:16]}")
    if not read_head(file).is_settled:
        click.echo("A change of it was interrupted: what is left over goes with the next loaf set or upgrade.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The secret key: minisign.key.")
def sign(file: Path, key: Path) -> None:
    """Sign the bundle FILE, as the program minisign does: into FILE.minisig.

    Whoever has your public key checks it with `loaf verify --key` or `minisign -V`.
    """
    from bundler.progress import progress_for
    from bundler.trust.signing import sign_bundle

    with progress_for().step(f"Signing {file}", file.stat().st_size, "bytes") as advance:
        signature = sign_bundle(file, key, _ask_password, advance)
    click.echo(signature)


def _check_signature(file: Path, key: str) -> None:
    from bundler.progress import progress_for
    from bundler.trust.signing import check_signature
    from runtime.errors import escaped

    with progress_for().step(f"Checking the signature of {file}", file.stat().st_size, "bytes") as advance:
        comment = check_signature(file, key, advance)
    click.echo(f"{file}: signed, and with it was said: {escaped(comment)}")


def _ask_password() -> str:
    """Of a key. Where nobody sits at a terminal, it is the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password of the key", hide_input=True, err=True)
    return password
