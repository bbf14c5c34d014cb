"""What the `loaf` command can be told to bake in: the same options for all its subcommands, and for recipes.

Flags that the bundle itself knows are taken from its own list (`runtime/cli/options.py`), and end up in `.args`.
Refuses to know what is done with what they say.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.file.baked import Baked, Part, PartRole
from runtime.cli.options import SAMPLING, SERVING

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from bundler.quantizing import Quantization

_MAX_TEXT = 4 * 1024 * 1024
_NAMES_A_FILE = ("--grammar-file", "--json-schema-file")
"""Flags of sampling that cannot be baked in: the file would have to be where the bundle runs."""


class FileType(click.ParamType[Any]):
    """Names a file: relative paths in a recipe are seen from its folder."""

    name = "FILE"

    def seen_from(self, folder: Path, text: str) -> str:
        """`text` as it is written in `folder`, for whoever is elsewhere."""
        return str(folder / Path(text).expanduser())

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class TargetFile(FileType):
    """A file to be written."""

    def convert(self, value: str | Path, _param: click.Parameter | None, _ctx: click.Context | None) -> Path:
        return Path(value)


class ModelSource(FileType):
    """MODEL: a path, or weights elsewhere (`sources/`). After --also, NAME= may stand before it."""

    name = "MODEL"

    def convert(self, value: str, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        return value

    def seen_from(self, folder: Path, text: str) -> str:
        from bundler.choosing.models import parse_also
        from bundler.sources import seen_from

        name, model = parse_also(text) if self.name != "MODEL" else (None, text)
        return f"{name}={seen_from(folder, model)}" if name else seen_from(folder, model)


class NamedSource(ModelSource):
    """`[NAME=]MODEL`."""

    name = "[NAME=]MODEL"


class TextFile(FileType):
    """A file of UTF-8 text, read at once; at most `_MAX_TEXT` bytes."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            with Path(value).open("rb") as file:
                data = file.read(_MAX_TEXT + 1)
        except (OSError, ValueError) as error:
            self.fail(f"{value}: {getattr(error, 'strerror', None) or error}.", param, ctx)
        if len(data) > _MAX_TEXT:
            self.fail(f"{value} is larger than {_MAX_TEXT:,} bytes.", param, ctx)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.fail(f"{value} is not UTF-8 text.", param, ctx)


class PartFile(FileType):
    """The GGUF of a projector or a draft model."""

    def __init__(self, role: PartRole) -> None:
        self._role = role

    def convert(self, value: str, _param: click.Parameter | None, _ctx: click.Context | None) -> Part:
        path = Path(value)
        return Part(self._role, path, path.stem)


class LoraFile(FileType):
    """`FILE` or `FILE=SCALE`. A file with a = in its name is that file, where it exists."""

    name = "FILE[=SCALE]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Part:
        text, equals, number = value.rpartition("=")
        if not equals or Path(value).exists():
            path, scale = Path(value), 1.0
        else:
            path, scale = Path(text), _number(number)
        if not math.isfinite(scale):
            self.fail(f"{number!r} is no scale: FILE=SCALE, as in adapter.gguf=0.5.", param, ctx)
        return Part("lora", path, path.stem, scale=scale)


class InputFile(FileType):
    """A file that is read later."""

    def convert(self, value: str | Path, _param: click.Parameter | None, _ctx: click.Context | None) -> Path:
        return Path(value)


class QuantizationName(click.ParamType[Any]):
    """The name of one of llama.cpp's mixes of types."""

    name = "TYPE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from bundler.errors import NoSuchFileType
        from bundler.quantizing.names import FileType, find_file_type

        try:
            return value if isinstance(value, FileType) else find_file_type(value)
        except NoSuchFileType as error:
            self.fail(f"{error.message}. {error.hint}.", param, ctx)

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bundler.quantizing.names import file_types

        return _completed(incomplete.upper().replace("-", "_"), file_types())


class BackendName(click.ParamType[str]):
    """`BACKEND[:CHIPS]`: a backend for GPUs, and the chips to compile it for."""

    name = "BACKEND[:CHIPS]"

    def convert(self, value: str, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        return value

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bundler.packs.recipes import RECIPES

        return _completed(incomplete, [recipe.backend for recipe in RECIPES if recipe.is_of_this_system])


class PlatformName(click.ParamType[str]):
    """A platform that programs can be made for, as in linux-aarch64."""

    name = "TEXT"

    def convert(self, value: str, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        return value

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bundler.freeze.platforms import all_platforms

        return _completed(incomplete, [platform.name for platform in all_platforms()])


class Sha256(click.ParamType[str]):
    """64 hexadecimal digits, in lower case."""

    name = "HEX"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch("[0-9a-fA-F]{64}", value):
            self.fail(f"{value!r} is not a SHA-256: 64 hexadecimal digits.", param, ctx)
        return value.lower()


BAKED_FLAGS = (
    *(flag for flag in SERVING if "--alias" in flag.opts),
    *(flag for flag in SAMPLING if not set(flag.opts) & set(_NAMES_A_FILE)),
)
"""The bundle's own flags that can be baked in by their names; all others by --args."""


def _option(names: str, help: str, type: Any = str, **more: Any) -> click.Option:
    return click.Option(names.split(), type=type, help=help, **more)


def _hidden(flag: click.Option) -> click.Option:
    """The same flag as an option of ours: None or () where it is not given."""
    default = None if not flag.multiple else ()
    return click.Option(
        [flag.name or "", *flag.opts],
        type=flag.type,
        is_flag=flag.is_flag,
        multiple=flag.multiple,
        default=default,
        hidden=True,
        help=flag.help,
    )


BAKED_FLAG_OPTIONS = tuple(map(_hidden, BAKED_FLAGS))

MODEL = click.Argument(["model"], type=ModelSource())
FILE = click.Argument(["file"], type=click.Path(path_type=Path))

RUNTIME_FROM = _option(
    "--runtime-from", "Take programs (and packs) from this bundle, or loaf, instead of making them.", InputFile()
)
"""Of all commands that need one."""

_COMPANIONS = (
    _option("--lora", "LoRA adapter of the model, applied as strongly as SCALE says [1]; repeatable.", LoraFile(),
            multiple=True),
    _option("--mmproj", "Projector, with which the model sees.", PartFile("projector")),
    click.Option(["--no-mmproj"], is_flag=True, help="Leave out a projector that comes with the model."),
    _option("--draft", "Draft model, which guesses what the model says next [the source's own].", PartFile("draft")),
)  # fmt: skip

_DEFAULTS = (
    _option("--args", "Default arguments of the bundle, as in llamafile's .args [the source's own]."),
    _option("--system", "System prompt for chats that bring none [the source's own]."),
    _option("--system-file", "The same, from a file.", TextFile()),
    _option("--chat-template", "Jinja template, from a file, in place of the model's own.", TextFile()),
    _option("--warm", "What prompts begin with, or the system prompt of chats: computed now instead of when asked.",
            TextFile()),
)  # fmt: skip

_FOR_PEOPLE = (
    _option("--license", "Text of the model's licence, for people [the source's own].", TextFile()),
    _option("--readme", "Text about the bundle, for people [the source's own].", TextFile()),
)

BUILD_GROUPS = (
    ("The bundle", (
        _option("-o --output", "The bundle to write [NAME.loaf].", TargetFile()),
        click.Option(["--force"], is_flag=True, help="Replace a file by that name even if it is no bundle."),
        _option("--name", "What the model is called [the file's name]."),
        click.Option(["--external"], is_flag=True, help="Leave the weights beside the bundle, in files of their own."),
        _option("--platform", "Where the file runs: linux-x86_64, linux-aarch64; repeatable [all that are frozen].",
                PlatformName(), multiple=True),
        _option("--backend", "Also compute on GPUs, by vulkan, cuda or rocm; repeatable.", BackendName(),
                multiple=True),
        RUNTIME_FROM,
    )),
    ("Weights", (
        _option("--sha256", "What the weights of MODEL must come to.", Sha256()),
        _option("--quantize", "Make MODEL smaller first: Q4_K_M, Q8_0, ...", QuantizationName()),
        _option("--imatrix", "Importance matrix of MODEL, to lose less of what matters.", InputFile()),
        _option("--allow-requantize", "Quantize what has been quantized before.", bool, is_flag=True),
        _option("--also", "One more model for the same file, as often as wanted.", NamedSource(), multiple=True),
        *_COMPANIONS,
    )),
    ("Defaults", _DEFAULTS),
    ("For people", _FOR_PEOPLE),
)  # fmt: skip
"""The options of `loaf build`, in the groups of its help."""

BUILD_PARAMETERS = (MODEL, *(option for _name, options in BUILD_GROUPS for option in options), *BAKED_FLAG_OPTIONS)
"""All that can be said of a build, on the command line and in a recipe."""

SET_GROUPS = (
    ("The model", (_option("--name", "What the model is called."), *_COMPANIONS)),
    ("Defaults", _DEFAULTS),
    ("For people", _FOR_PEOPLE),
)
"""The options of `loaf set`; what is not named, stays as it is in the bundle."""


def quantization_from(given: Mapping[str, Any]) -> Quantization | None:
    """What `--quantize` and the flags beside it say, None where they say nothing. Raises `click.UsageError`."""
    from bundler.quantizing import Quantization

    if given["quantize"] is not None:
        return Quantization(given["quantize"], given["imatrix"], given["allow_requantize"])
    if given["imatrix"] is not None or given["allow_requantize"]:
        raise click.UsageError("--imatrix and --allow-requantize go with --quantize TYPE.")
    return None


def baked_from(given: Mapping[str, Any]) -> Baked:
    """What is to be baked in, by click's names of the options. Raises `click.UsageError`."""
    if given["system"] is not None and given["system_file"] is not None:
        raise click.UsageError("Either --system or --system-file, not both.")
    if given["mmproj"] is not None and given["no_mmproj"]:
        raise click.UsageError("Either --mmproj or --no-mmproj, not both.")
    parts = (*given["lora"], *(given[name] for name in ("mmproj", "draft") if given[name] is not None))
    return Baked(
        args=given["args"],
        flags="\n".join(line for flag in BAKED_FLAGS for line in _lines(flag, given[flag.name or ""])),
        system=given["system"] if given["system_file"] is None else given["system_file"].strip(),
        chat_template=given["chat_template"],
        license=given["license"],
        readme=given["readme"],
        warm=given["warm"],
        parts=parts,
        without=frozenset({"projector"} if given["no_mmproj"] else ()),
    )


def _lines(flag: click.Option, value: Any) -> list[str]:
    """`value` of `flag` as `.args` has it, a line each."""
    name = next(name for name in flag.opts if name.startswith("--"))
    if flag.is_flag:
        return [name] if value else []
    values = value if flag.multiple else [] if value is None else [value]
    return [f"{name} {shlex.quote(','.join(one) if isinstance(one, tuple) else str(one))}" for one in values]


def _completed(incomplete: str, words: Sequence[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
