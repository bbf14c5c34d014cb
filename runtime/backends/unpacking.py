"""What is in a pack as files, unpacked once into the cache folder, as the launcher unpacks the program.

Into a fresh folder beside the final one, which is renamed: what has the final name is whole. Of several at once, each
unpacks its own; whoever comes second uses the other's. The marker is the first to go when a tidying job takes files
away that nobody reads.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePath
from typing import NamedTuple

from runtime.bundle import Bundle, MediaPack, Pack
from runtime.errors import LoafError

_MARKER = ".whole"
_CHUNK = 1024 * 1024


class PackUnusable(LoafError):
    """The pack called `name` cannot be unpacked; `reason` says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"the {name} pack cannot be unpacked: {reason}",
            "Name another folder in LOAF_CACHE_DIR; where the file is damaged, get it again (loaf verify).",
        )
        self.name = name
        self.reason = reason


def cache_folder() -> Path:
    """Where the launcher has unpacked this program; started otherwise, where it would have."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable).parent.parent
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LOAF_CACHE_DIR") or Path(base, "loaf")).absolute()


class _Packed(NamedTuple):
    """A pack by its name: the archive at `entry`, with the file `library`, and `unpacked_size` bytes in all."""

    name: str
    entry: str
    library: str
    unpacked_size: int


def unpacked_library(bundle: Bundle, pack: Pack, cache: Path) -> Path:
    """The library of `pack` in a folder of `cache` that is named by the archive's hash. Raises `PackUnusable`."""
    packed = _Packed(pack.backend, pack.entry, pack.library, pack.unpacked_size)
    return _unpacked(bundle, packed, cache) / pack.library


def unpacked_media(bundle: Bundle, pack: MediaPack, cache: Path) -> Path:
    """The same for all of `pack`: the folder. Raises `PackUnusable`."""
    return _unpacked(bundle, _Packed("media", pack.entry, pack.library, pack.unpacked_size), cache)


def _unpacked(bundle: Bundle, pack: _Packed, cache: Path) -> Path:
    sha256 = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == pack.entry)
    folder = cache / f"{pack.name}-{sha256[:16]}"
    try:
        if not _is_whole(folder, pack):
            _unpack(bundle, pack, sha256, folder)
    except (OSError, tarfile.TarError, zlib.error, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PackUnusable(pack.name, f"{cache}: {reason}") from error
    return folder


def _is_whole(folder: Path, pack: _Packed) -> bool:
    return (folder / _MARKER).exists() and (folder / pack.library).exists()


def _unpack(bundle: Bundle, pack: _Packed, sha256: str, folder: Path) -> None:
    cache = folder.parent
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(folder)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{os.uname().nodename}.{os.getpid()}.", dir=cache))
    try:
        work.chmod(0o755)  # others may read it if the cache lets them in
        _write_files(_archive(bundle, pack, sha256), pack, work)
        (work / _MARKER).touch()
        if folder.exists() and not _is_whole(folder, pack):
            folder.rename(work / ".damaged")
        try:
            work.rename(folder)
        except OSError:
            if not _is_whole(folder, pack):  # else somebody else was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _archive(bundle: Bundle, pack: _Packed, sha256: str) -> bytes:
    """The archive's bytes, whose hash is what the manifest says: a changed byte must not run."""
    place = bundle.place_of(pack.entry)
    with place.path.open("rb") as file:
        file.seek(place.offset)
        content = file.read(place.size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PackUnusable(pack.name, "it does not have the checksum that it should: the file is damaged")
    return content


def _write_files(archive: bytes, pack: _Packed, work: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        members = [member for member in tar.getmembers() if not member.isdir()]
        is_safe = all(member.isreg() and not {"..", "/"} & set(PurePath(member.name).parts) for member in members)
        size = sum(member.size for member in members)
        if not is_safe or size != pack.unpacked_size or pack.library not in {member.name for member in members}:
            raise PackUnusable(pack.name, "it does not hold what the manifest says")
        for member in members:
            content, file = tar.extractfile(member), work / member.name
            assert content is not None, "it is a file"
            file.parent.mkdir(mode=0o755, exist_ok=True)
            with file.open("wb") as target:
                shutil.copyfileobj(content, target, _CHUNK)
            file.chmod(0o644)


def _remove_leftovers(folder: Path) -> None:
    """Folders of processes on this host that were killed while they unpacked."""
    prefix = f".{folder.name}.{os.uname().nodename}."
    for left in folder.parent.glob(f"{prefix}*"):
        number = left.name.removeprefix(prefix).partition(".")[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    """Whether there is such a process, perhaps of another user. Where /proc is not mounted, too."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
