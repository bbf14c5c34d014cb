"""Which files of a repository on Hugging Face's hub are meant, or of a mirror that `HF_ENDPOINT` names.

Knows names, as llama.cpp's `-hf` takes them. Refuses to know how a file is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote

import msgspec

from runtime.fetching.downloads import TRY_AGAIN, refused
from runtime.fetching.errors import FetchFailed
from runtime.fetching.web import Refused, Unreachable, open_url
from runtime.settings import HubModel

_LONGEST_LISTING = 16 * 2**20
_PREFERRED = ("Q4_K_M", "Q8_0")
"""llama.cpp's, where none is named; else it takes the first."""

_FILE = re.compile(r"(?:[\w.+-]+/){0,8}[\w.+-]+\.gguf", re.IGNORECASE)
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_QUANTIZATION = re.compile(r"(?:^|[-._/])((?:I?Q|TQ|MXFP|BF|F)\d\w*)(?=[-.])", re.IGNORECASE)


class HubFile(msgspec.Struct, frozen=True):
    """A file in a repository: `size` in bytes, `sha256` in hex."""

    name: str
    size: int
    sha256: str


class Listing(msgspec.Struct, frozen=True):
    """The GGUFs of a repository at the `commit` that its main branch is at."""

    commit: str
    files: tuple[HubFile, ...]


def list_files(endpoint: str, wanted: HubModel, token: str) -> Listing:
    """Ask the hub. Raises `FetchFailed`, and `Unreachable`, where what has been fetched before may do."""
    url = f"{endpoint}/api/models/{wanted.repository}/revision/main?blobs=true"
    try:
        with open_url(url, {"Accept": "application/json"}, token) as answer:
            body = answer.read(_LONGEST_LISTING + 1)
    except Refused as error:
        if error.status in TRY_AGAIN:
            raise Unreachable(str(error)) from error
        raise refused(str(wanted), error.status) from error
    if len(body) > _LONGEST_LISTING:
        raise FetchFailed(str(wanted), "the hub's list of its files is too long", "Name the file's address: -mu URL.")
    try:
        told = msgspec.json.decode(body, type=_Repository)
    except msgspec.DecodeError as error:
        raise FetchFailed(
            str(wanted),
            f"the hub answers what cannot be understood: {error}",
            "Check what is in HF_ENDPOINT, or try again later.",
        ) from error
    return Listing(told.sha, tuple(file for sibling in told.siblings if (file := _hub_file(sibling)) is not None))


def address_of(endpoint: str, wanted: HubModel, commit: str, name: str) -> str:
    """Where the file is to be had, as it was in that commit."""
    return f"{endpoint}/{wanted.repository}/resolve/{commit}/{quote(name)}"


def choose(names: Collection[str], wanted: HubModel) -> tuple[str, ...]:
    """Those of `names` that are the model, in order: one, or all parts of a split one. Raises `FetchFailed`."""
    models = sorted(name for name in names if _is_model(name))
    if not models:
        raise FetchFailed(str(wanted), "there is no GGUF in it", "Look for a repository whose name ends in -GGUF.")
    for quantization in (wanted.quantization,) if wanted.quantization else _PREFERRED:
        fitting = [name for name in models if _quantization(name) == quantization.upper()]
        if fitting:
            return _parts(fitting[0], names, wanted)
    if wanted.quantization:
        found = ", ".join(dict.fromkeys(map(_quantization, models)))
        raise FetchFailed(str(wanted), f"there is no {wanted.quantization} in it", f"There are: {found}.")
    return _parts(models[0], names, wanted)


class _Lfs(msgspec.Struct):
    sha256: str


class _Sibling(msgspec.Struct):
    rfilename: str
    size: int | None = None
    lfs: _Lfs | None = None


class _Repository(msgspec.Struct):
    sha: str
    siblings: list[_Sibling]

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{40,64}", self.sha):
            raise ValueError("the commit is no hash")


def _hub_file(sibling: _Sibling) -> HubFile | None:
    """None for what is no GGUF, and for names that nobody gives to a file without meaning harm."""
    if sibling.lfs is None or sibling.size is None or sibling.size < 0 or not _FILE.fullmatch(sibling.rfilename):
        return None
    if ".." in sibling.rfilename or not re.fullmatch("[0-9a-f]{64}", sibling.lfs.sha256):
        return None
    return HubFile(sibling.rfilename, sibling.size, sibling.lfs.sha256)


def _is_model(name: str) -> bool:
    """Whether it is weights of a model, whole or their first part; projectors lie beside those of the same end."""
    part = _PART.search(name)
    return name.lower().endswith(".gguf") and "mmproj" not in name.lower() and (part is None or int(part[1]) == 1)


def _quantization(name: str) -> str:
    """As a file's name says it, in capitals; "" where it does not."""
    found = _QUANTIZATION.findall(name.rpartition("/")[2])
    return found[-1].upper() if found else ""


def _parts(first: str, names: Collection[str], wanted: HubModel) -> tuple[str, ...]:
    part = _PART.search(first)
    if part is None:
        return (first,)
    parts = tuple(f"{first[: part.start()]}-{i:05}-of-{part[2]}.gguf" for i in range(1, int(part[2]) + 1))
    if missing := [name for name in parts if name not in names]:
        raise FetchFailed(str(wanted), f"a part of the model is missing: {missing[0]}", "Name another quantization.")
    return parts
