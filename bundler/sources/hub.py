"""Weights from Hugging Face's hub, through huggingface_hub: its cache, its token, `HF_ENDPOINT`.

`OWNER/REPO[:QUANT or FILE][@REVISION]`. What the hub's cache has is not downloaded again, and is enough where there is
no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from bundler.errors import DownloadFailed, Found, SourceError, SourceNotFound
from bundler.progress import Progress
from bundler.sources.choosing import choose, choose_projector
from bundler.sources.file import (
    is_model_name,
    model_name,
    models_in,
    parts_of,
    projector_beside,
    size_of,
    with_projector,
)
from bundler.sources.resolved import Resolved

PREFIX = "hf:"

constants.HF_HUB_DISABLE_TELEMETRY = True  # the hub is told nothing that it was not asked for


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository, and what of it is meant: "" for whatever there is."""

    repo: str
    selector: str
    revision: str | None

    def __str__(self) -> str:
        return self.with_selector(self.selector)

    def with_selector(self, selector: str) -> str:
        """The same, as written on the command line, with another choice."""
        return f"{PREFIX}{self.repo}{f':{selector}' if selector else ''}{f'@{self.revision}' if self.revision else ''}"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a repository. `size` in bytes, `sha256` in hex where the hub knows it."""

    name: str
    size: int
    sha256: str | None


def resolve(text: str, progress: Progress) -> Resolved:
    """The weights that `hf:TEXT` names. Raises `SourceNotFound`, `SourceAmbiguous`, `DownloadFailed`."""
    reference = parse(text)
    try:
        commit, files = _list(reference)
    except (OfflineModeIsEnabled, HTTPError):
        return _from_cache(reference)
    sizes = {name: sum(part.size for part in _parts(name, files)) for name in files if is_model_name(name)}
    chosen = choose(sizes, reference.selector, reference.with_selector)
    parts = _parts(chosen, files)
    paths = [_fetch(reference, part, progress) for part in parts]
    if any(path.parent != paths[0].parent for path in paths):
        raise DownloadFailed(str(reference), "the repository changed meanwhile")
    projector = choose_projector(files, chosen)
    return Resolved(
        paths[0],
        model_name(paths[0]),
        sha256=parts[0].sha256 if len(parts) == 1 else None,
        baked=with_projector(_fetch(reference, files[projector], progress) if projector else None),
        origin=f"{PREFIX}{reference.repo}:{chosen}@{commit}",
    )


def offered(text: str) -> list[Found] | Path:
    """What `hf:TEXT` could mean, with sizes in bytes; where the hub cannot be reached, what its cache has of it.

    Raises as `resolve` does.
    """
    reference = parse(text)
    try:
        _commit, files = _list(reference)
    except (OfflineModeIsEnabled, HTTPError):
        return _from_cache(reference).path
    sizes = {name: sum(part.size for part in _parts(name, files)) for name in files if is_model_name(name)}
    if reference.selector:
        chosen = choose(sizes, reference.selector, reference.with_selector)
        projector = choose_projector(files, chosen)
        beside = [] if projector is None else [Found(reference.with_selector(projector), files[projector].size)]
        return [Found(reference.with_selector(chosen), sizes[chosen]), *beside]
    if not sizes:
        raise SourceNotFound(str(reference), "there is no .gguf file in this repository", "Name one that has GGUFs.")
    return [Found(reference.with_selector(name), sizes[name]) for name in sorted(sizes)]


def parse(text: str) -> Reference:
    """Raises `SourceNotFound`."""
    match = re.fullmatch(r"(\w[\w.-]*/\w[\w.-]*)(?::([^@]+))?(?:@([\w./-]+))?", text)
    if match is None:
        raise SourceNotFound(
            PREFIX + text, "is not the name of a repository", "It is hf:OWNER/REPO[:QUANT or FILE][@REVISION]."
        )
    return Reference(match[1], match[2] or "", match[3])


def installed() -> list[tuple[Path, int]]:
    """Every model in the hub's cache, and its size in bytes."""
    snapshots = cache().glob("models--*/snapshots/*")
    return [(path, size_of(path)) for snapshot in snapshots for path in models_in(snapshot)]


def cache() -> Path:
    """Where the hub's own programs keep what they have downloaded."""
    return Path(constants.HF_HUB_CACHE)


def _list(reference: Reference) -> tuple[str, dict[str, RemoteFile]]:
    """The commit that is meant, and its GGUFs by their names."""
    with _told(reference):
        info = HfApi().model_info(reference.repo, revision=reference.revision, files_metadata=True)
    files = {
        file.rfilename: RemoteFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
        if file.rfilename.lower().endswith(".gguf")
    }
    return info.sha or reference.revision or "main", files


def _parts(name: str, files: Mapping[str, RemoteFile]) -> list[RemoteFile]:
    """The file `name`, or all parts of the GGUF that it is the first of."""
    path = PurePosixPath(name)
    beside = [Path(other) for other in files if PurePosixPath(other).parent == path.parent]
    return sorted((files[str(part)] for part in parts_of(path.name, beside)), key=lambda part: part.name)


def _fetch(reference: Reference, file: RemoteFile, progress: Progress) -> Path:
    """The file in the hub's cache, downloaded first when it is not there.

    By the name of the revision rather than its commit: the cache then knows, without a network too, what it stands for.
    """
    revision = reference.revision or "main"
    title = f"Fetching {PurePosixPath(file.name).name}"
    with _told(reference), progress.step(title, file.size, "bytes") as advance:
        path = Path(hf_hub_download(reference.repo, file.name, revision=revision, tqdm_class=_bar_for(advance)))
    if file.size and path.stat().st_size != file.size:
        raise DownloadFailed(str(reference), f"{file.name} has {path.stat().st_size:,} of {file.size:,} bytes")
    return path


def _bar_for(advance: Callable[[int], None]) -> type[tqdm]:
    """huggingface_hub shows how far it is through tqdm; this one shows nothing and tells `advance`."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"disable": True})  # type: ignore[no-untyped-call]
            advance(int(kwargs.get("initial") or 0))

        def update(self, n: float | None = 1) -> None:
            advance(int(n or 0))

    return Bar


def _from_cache(reference: Reference) -> Resolved:
    """What is on this disk of the repository."""
    try:
        folder = snapshot_download(
            reference.repo, revision=reference.revision, allow_patterns="*.gguf", local_files_only=True
        )
    except LocalEntryNotFoundError as error:
        reason = "the hub cannot be reached, and nothing of it is on this machine"
        raise DownloadFailed(str(reference), reason, no_network=True) from error
    models = {str(path.relative_to(folder)): path for path in models_in(Path(folder))}
    chosen = choose({name: size_of(path) for name, path in models.items()}, reference.selector, reference.with_selector)
    path = models[chosen]
    return Resolved(
        path,
        model_name(path),
        baked=with_projector(projector_beside(path)),
        origin=f"{PREFIX}{reference.repo}:{chosen}@{Path(folder).name}",
    )


@contextmanager
def _told(reference: Reference) -> Iterator[None]:
    """Turns what the hub says into errors of ours."""
    name = str(reference)
    try:
        yield
    except GatedRepoError as error:
        raise SourceNotFound(
            name,
            "its owner lets only those have it who have agreed to a licence",
            "Agree to it on the model's page, then log in: hf auth login (or set HF_TOKEN).",
        ) from error
    except RepositoryNotFoundError as error:
        hint = "Check the name; for a private one: hf auth login (or set HF_TOKEN)."
        raise SourceNotFound(name, "there is no such repository, or it is private", hint) from error
    except RevisionNotFoundError as error:
        raise SourceNotFound(name, "there is no such revision", "Name a branch, a tag or a commit.") from error
    except LocalEntryNotFoundError as error:
        raise DownloadFailed(name, "the hub cannot be reached", no_network=True) from error
    except (EntryNotFoundError, HFValidationError) as error:
        raise SourceNotFound(name, str(error), "Check the name.") from error
    except HfHubHTTPError as error:
        raise _refused(name, error.response.status_code) from error


def _refused(name: str, status: int) -> SourceError:
    if status in (401, 403):
        return SourceNotFound(
            name,
            f"the hub answers {status}: this token may not read it, or there is none",
            "Log in as somebody who may: hf auth login (or set HF_TOKEN).",
        )
    if status == 429:
        return DownloadFailed(
            name, "the hub answers 429: too many requests from here; it lets those make more who have logged in"
        )
    return DownloadFailed(name, f"the hub answers {status}")
