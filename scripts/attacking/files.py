"""Files of others: names for saved slots, names of the file itself, and weights and bundles that lie."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attack import Attack
from target import ROOT, Target

_MOST_SECONDS = 20
_MOST_MEMORY = 2**31
"""Bytes of addresses that a command may have which is to look at a file that lies."""


# -- saved slots ------------------------------------------------------------------------------------------------


def _refused_slot(name: str, action: str = "save") -> Callable[[Target], str]:
    def run(target: Target) -> str:
        target.ask("/completion", {"prompt": "Once upon", "n_predict": 1, "id_slot": 0})
        before = sorted(target.slots.parent.rglob("*"))
        status, text = target.ask(f"/slots/0?action={action}", {"filename": name})
        if status != 400:
            return f"{status}: {text[:100]}"
        written = set(target.slots.parent.rglob("*")) - set(before)
        return f"it wrote {written}" if written else ""

    return run


def _restored(make: Callable[[Path], object]) -> Callable[[Target], str]:
    """What `make` puts into the folder is no file, or none of ours; refused, and at once."""

    def run(target: Target) -> str:
        make(target.slots / "odd")
        began = time.monotonic()
        status, text = target.ask("/slots/0?action=restore", {"filename": "odd"})
        seconds = time.monotonic() - began
        odd = target.slots / "odd"
        odd.rmdir() if odd.is_dir() and not odd.is_symlink() else odd.unlink()
        return "" if status == 400 and seconds < _MOST_SECONDS else f"{status} after {seconds:.0f} s: {text[:100]}"

    return run


def _private(target: Target) -> str:
    target.ask("/completion", {"prompt": "A secret", "n_predict": 1, "id_slot": 0})
    before = os.umask(0)
    try:
        status, text = target.ask("/slots/0?action=save", {"filename": "state"})
    finally:
        os.umask(before)
    mode = (target.slots / "state").stat().st_mode & 0o777 if status == 200 else 0
    return "" if mode == 0o600 else f"{status}, {mode:o}: {text[:100]}"


_NAMES = ("../out", "/tmp/out", "a/b", "a\\b", ".hidden", "", "..", "a\0b", "a\nb", "a\x1b[31m", "x" * 300, "a:b", "~*")

SLOTS = (
    *(Attack(f"a slot's name: {name[:20]!r}", _refused_slot(name)) for name in _NAMES),
    Attack("a name to restore from elsewhere", _refused_slot("../../etc/passwd", "restore")),
    Attack("a pipe to restore from", _restored(os.mkfifo)),
    Attack("a link to restore from", _restored(lambda path: path.symlink_to("/etc/passwd"))),
    Attack("a folder to restore from", _restored(Path.mkdir)),
    Attack("a state that lies", _restored(lambda path: path.write_bytes(b"LOAFKV1\n" + b"\xff" * 76 + bytes(1000)))),
    Attack("who may read a saved slot", _private),
)


# -- the launcher -----------------------------------------------------------------------------------------------


def _launched_as(name: str) -> Callable[[Target], str]:
    """The file of that name says its version, and nothing else is run."""

    def run(target: Target) -> str:
        copy = target.work / name
        copy.symlink_to(target.file.resolve())
        done = target.run("--version", file=copy)
        left = {path.name for path in target.work.iterdir()} - {name}
        copy.unlink()
        if done.returncode != 0 or "loaf" not in done.stdout:
            return f"{done.returncode}: {done.stderr[:200]}"
        return f"it made {left}" if left else ""

    return run


def _launched_with(**environment: str) -> Callable[[Target], str]:
    """So it is with what is in the environment; a folder of that very name may be made."""

    def run(target: Target) -> str:
        done = target.run("--version", **environment)
        was_made = (target.work / "made").exists()
        for path in target.work.iterdir():
            shutil.rmtree(path)
        if was_made:
            return "it ran the command"
        return "" if done.returncode in (0, 1) else f"{done.returncode}: {done.stderr[:200]}"

    return run


def _cache_of_all(target: Target) -> str:
    """A folder that everybody may write to is not unpacked into."""
    folder = target.work / "everybodys"
    folder.mkdir()
    folder.chmod(0o777)
    done = target.run("--version", LOAF_CACHE_DIR=str(folder))
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    return f"it unpacked {left}" if done.returncode == 0 and left else ""


LAUNCHING = (
    *(
        Attack(f"a file called {name!r}", _launched_as(name))
        for name in (
            "$(touch made)",
            "`touch made`",
            "a;touch made;",
            "a b'c\"d",
            "-n",
            "a\nb",
            "${IFS}x",
            "*",
            "a\x1b[31m",
        )
    ),
    Attack("a cache folder that is a command", _launched_with(LOAF_CACHE_DIR="$(touch made)")),
    Attack(
        "a folder for temporary files that is a command",
        _launched_with(TMPDIR="`touch made`", HOME="/", LOAF_CACHE_DIR=""),
    ),
    Attack("an IFS that cuts everywhere", _launched_with(IFS="/o")),
    Attack("a cache folder that is everybody's", _cache_of_all),
)


# -- weights and bundles that lie ---------------------------------------------------------------------------------


def _looked_at(command: str, make: Callable[[Target], bytes]) -> Callable[[Target], str]:
    """`loaf COMMAND` says what is wrong with the file, in little time and memory, and in harmless characters."""

    def run(target: Target) -> str:
        path = target.work / "lies"
        path.write_bytes(make(target))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bundler.cli", command, str(path)],
                capture_output=True,
                timeout=_MOST_SECONDS,
                cwd=ROOT,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY)),
            )
        finally:
            path.unlink()
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if done.returncode != 1 or "Traceback" in said:
            return f"{done.returncode}: {said[-300:]}"
        odd = [character for character in said if not character.isprintable() and character != "\n"]
        return f"it shows {odd[:3]}" if odd else ""

    return run


def _gguf(*fields: bytes, tensors: int = 0, pairs: int | None = None) -> Callable[[Target], bytes]:
    """A header of version 3 with so many tensors and pairs, and what follows."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, tensors, len(fields) if pairs is None else pairs)
    return lambda _target: head + b"".join(fields)


def _key(name: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


_NESTED = b"".join(struct.pack("<IQ", 9, 1) for _ in range(100_000))


def _cut(share: float) -> Callable[[Target], bytes]:
    def make(target: Target) -> bytes:
        data = target.file.read_bytes()
        return data[: int(len(data) * share)]

    return make


def _patched(find: bytes, replace: bytes) -> Callable[[Target], bytes]:
    """The file, with the last `find` in it replaced by what is as long."""
    assert len(find) == len(replace)

    def make(target: Target) -> bytes:
        before, _, after = target.file.read_bytes().rpartition(find)
        return before + replace + after

    return make


def _end(field: int, size: int, value: int) -> Callable[[Target], bytes]:
    """The file, with `value` in the record that ends the archive: APPNOTE.TXT 4.3.16."""

    def make(target: Target) -> bytes:
        data = bytearray(target.file.read_bytes())
        data[-22 + field : -22 + field + size] = value.to_bytes(size, "little")
        return bytes(data)

    return make


LIES = (
    Attack("weights of 2^60 tensors", _looked_at("inspect", _gguf(tensors=2**60))),
    Attack("weights of 2^60 fields", _looked_at("inspect", _gguf(pairs=2**60))),
    Attack("a name of 2^63 bytes", _looked_at("inspect", _gguf(struct.pack("<Q", 2**63), pairs=1))),
    Attack("a text of 2^62 bytes", _looked_at("inspect", _gguf(_key(b"a", 8, struct.pack("<Q", 2**62))))),
    Attack("a list of 2^61 numbers", _looked_at("inspect", _gguf(_key(b"a", 9, struct.pack("<IQ", 4, 2**61))))),
    Attack("lists in lists without end", _looked_at("inspect", _gguf(_key(b"a", 9, _NESTED)))),
    Attack("a field of no kind", _looked_at("inspect", _gguf(_key(b"a", 99, b"")))),
    Attack("half a bundle", _looked_at("verify", _cut(0.5))),
    Attack("a bundle without its last byte", _looked_at("inspect", _cut(0.99999))),
    Attack("a directory of 4 GB", _looked_at("verify", _end(12, 4, 0xFFFFFFF0))),
    Attack("a directory elsewhere", _looked_at("verify", _end(16, 4, 0x7FFFFFFF))),
    Attack("an archive that goes on", _looked_at("verify", _end(20, 2, 0xFFFF))),
    Attack(
        "a manifest that steers the terminal",
        _looked_at("verify", _patched(b'"name": "demo"', b'"name": "\\u001b"'[:14])),
    ),
    Attack("an entry by another name", _looked_at("verify", _patched(b"manifest.json", b"manifest.jso\x1b"))),
)
