"""A pack's library as a file, unpacked once into the cache folder, as the launcher unpacks the program.

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
from pathlib import Path

from runtime.bundle import Bundle, Pack
from runtime.errors import LoafError

_MARKER = ".whole"
_CHUNK = 1024 * 1024


class PackUnusable(LoafError):
    """The pack of `backend` cannot be unpacked; `reason` says why."""

    def __init__(self, backend: str, reason: str) -> None:
        super().__init__(
            f"the {backend} pack cannot be unpacked: {reason}",
            "Name another folder in LOAF_CACHE_DIR; where the file is damaged, get it again (loaf verify).",
        )
        self.backend = backend
        self.reason = reason


def cache_folder() -> Path:
    """Where the launcher has unpacked this program; started otherwise, where it would have."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable).parent.parent
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LOAF_CACHE_DIR") or Path(base, "loaf")).absolute()


def unpacked_library(bundle: Bundle, pack: Pack, cache: Path) -> Path:
    """The library of `pack` in a folder of `cache` that is named by the archive's hash. Raises `PackUnusable`."""
    sha256 = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == pack.entry)
    folder = cache / f"{pack.backend}-{sha256[:16]}"
    try:
        if not _is_whole(folder, pack):
            _unpack(bundle, pack, sha256, folder)
    except (OSError, tarfile.TarError, zlib.error, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PackUnusable(pack.backend, f"{cache}: {reason}") from error
    return folder / pack.library


def _is_whole(folder: Path, pack: Pack) -> bool:
    return (folder / _MARKER).exists() and (folder / pack.library).exists()


def _unpack(bundle: Bundle, pack: Pack, sha256: str, folder: Path) -> None:
    cache = folder.parent
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(folder)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{os.uname().nodename}.{os.getpid()}.", dir=cache))
    try:
        work.chmod(0o755)  # others may read it if the cache lets them in
        _write_library(_archive(bundle, pack, sha256), pack, work)
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


def _archive(bundle: Bundle, pack: Pack, sha256: str) -> bytes:
    """The archive's bytes, whose hash is what the manifest says: a changed byte must not run."""
    place = bundle.place_of(pack.entry)
    with place.path.open("rb") as file:
        file.seek(place.offset)
        content = file.read(place.size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PackUnusable(pack.backend, "it does not have the checksum that it should: the file is damaged")
    return content


def _write_library(archive: bytes, pack: Pack, work: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        member = tar.getmember(pack.library)
        content = tar.extractfile(member)
        if content is None or member.size != pack.unpacked_size or "/" in pack.library:
            raise PackUnusable(pack.backend, "it does not hold what the manifest says")
        with (work / pack.library).open("wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    (work / pack.library).chmod(0o644)


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
