"""Commands that make bundles and change them, and the one that does without."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from bundler.making.options import (
    BAKED_FLAG_OPTIONS,
    BUILD_GROUPS,
    BUILD_PARAMETERS,
    FILE,
    MODEL,
    RUNTIME_FROM,
    SET_GROUPS,
    ModelSource,
    baked_from,
    quantization_from,
)
from runtime.cli.command import GroupedCommand

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from bundler.errors import SourceAmbiguous
    from runtime.bundle import Model


def _read_recipe(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """What the recipe says stands where the command line says nothing."""
    from bundler.making.recipe import read_recipe

    if path is not None:
        context.default_map = read_recipe(path, BUILD_PARAMETERS)


class _BakingCommand(GroupedCommand):
    """Knows that a flag which it does not take may be one of the file's; `refusals` say what else some are answered."""

    def __init__(self, *arguments: Any, refusals: Mapping[str, str] = MappingProxyType({}), **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._refusals = refusals

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in self._refusals:
                raise click.UsageError(self._refusals[error.option_name], ctx) from error
            if any(error.option_name in option.opts for option in _flags_of_a_file().params):
                raise click.UsageError(
                    f"{error.option_name} is a flag of the file: give it when that is run, "
                    f'or make it its default with --args "{error.option_name} ..."',
                    ctx,
                ) from error
            raise


def _no_second_model(words: Sequence[str]) -> str:
    return f"{words[0]!r} belongs to no flag, and there is one MODEL: another one goes along with --also {words[0]}"


def _no_second_file(words: Sequence[str]) -> str:
    return f"{words[0]!r} belongs to no flag, and there is one FILE"


@click.command(
    cls=_BakingCommand, params=[MODEL], groups=BUILD_GROUPS, hidden=BAKED_FLAG_OPTIONS, last="The build",
    stray=_no_second_model,
)  # fmt: skip
@click.option(
    "-f", "--recipe", type=click.Path(path_type=Path), is_eager=True, expose_value=False, callback=_read_recipe,
    help="Take what is not given here from this file (docs/build.md).",
)  # fmt: skip
@click.help_option("-h", "--help")
def build(
    model: str,
    output: Path | None,
    backend: tuple[str, ...],
    platform: tuple[str, ...],
    runtime_from: Path | None,
    **given: Any,
) -> None:
    """Build one executable file from MODEL.

    \b
    MODEL is one of
      a path                     a .gguf (the first of a split one), a folder with one,
                                 another bundle, a .llamafile
      hf:OWNER/REPO[:QUANT][@REVISION]
                                 Hugging Face's hub; instead of QUANT also a file's name
      ollama:NAME[:TAG]          Ollama's store on this machine, else its registry
      gpt4all:NAME               what GPT4All has downloaded
      https://...                the address of a .gguf
      demo, demo-vision          the embedded models: a toy, and one that sees pictures

    Clients choose by name among several models; the first is meant where they name none. A path
    with a = in it is written ./A=B.gguf after --also.

    The file runs on machines like this one, and on those for which a program was frozen before
    (loaf runtime freeze --platform ...).

    The bundle's own flags for sampling (--temp, --top-k, ...) and --alias become its defaults.
    """
    from bundler.making.build import BuildRequest
    from bundler.making.build import build as build_bundle
    from bundler.packs import find_recipe
    from bundler.programs import programs_from
    from bundler.progress import progress_for
    from bundler.text import human_size

    progress = progress_for()
    supply = programs_from(runtime_from, progress)
    recipes = {recipe.backend: recipe for recipe in map(find_recipe, backend)}
    platforms = tuple(dict.fromkeys(platform))
    supply.check(tuple(recipes.values()), platforms)  # says what is missing before anything is downloaded
    request = BuildRequest(
        model,
        given["also"],
        output,
        given["name"],
        given["sha256"],
        baked_from(given),
        tuple(recipes.values()),
        quantization_from(given),
        external=given["external"],
        platforms=platforms,
        force=given["force"],
    )
    built = build_bundle(request, supply, progress, _ask_which)
    click.echo(
        f"{built.path}: {human_size(built.size)}, of it weights {human_size(built.weights_size)}, "
        f"for {' and '.join(built.platforms)}"
    )
    if not given["chat_template"]:
        _tell_of_base_models(built.models)


class _RunCommand(click.Command):
    """What follows MODEL is completed as the flags of the file that would be built."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if ctx.params.get("model") is None:
            return super().shell_complete(ctx, incomplete)
        return _flags_behind(ctx, None, incomplete)


def _flags_of_a_file() -> GroupedCommand:
    from runtime.cli.flags import with_all_flags

    return with_all_flags(lambda **_given: None)


def _flags_behind(ctx: click.Context, _param: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import ShellComplete

    return ShellComplete(_flags_of_a_file(), {}, "loaf", "").get_completions(
        list(ctx.params["flags"] or ()), incomplete
    )


@click.command(
    "run",
    cls=_RunCommand,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[--runtime-from FILE]",
    params=[RUNTIME_FROM],
)
@click.argument("model", type=ModelSource())
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, shell_complete=_flags_behind)
def run_(model: str, flags: tuple[str, ...], runtime_from: Path | None) -> None:
    """Run MODEL where it lies, without making a file of it first.

    MODEL is what it is for `loaf build`. FLAGS are those of the file that would be built: -p TEXT, --server, ...;
    --help behind MODEL lists them. What comes with the weights (system prompt, parameters, adapters) applies.
    """
    from bundler.making.running import become, prepare
    from bundler.programs import programs_from
    from bundler.progress import progress_for

    if any(word.partition("=")[0] == "--runtime-from" for word in flags):
        raise click.UsageError("--runtime-from stands before MODEL: all behind MODEL goes to the file that is run.")
    _flags_of_a_file().check_words(flags, f"loaf run {model}")  # before anything is fetched
    progress = progress_for()
    become(prepare(model, programs_from(runtime_from, progress), progress, _ask_which), flags)


_IN_PLACE = "`loaf set` changes FILE itself: copy it first to keep both."


@click.command(
    "set", cls=_BakingCommand, params=[FILE], groups=SET_GROUPS, hidden=BAKED_FLAG_OPTIONS, last="Other",
    stray=_no_second_file, refusals={"-o": _IN_PLACE, "--output": _IN_PLACE},
)  # fmt: skip
@click.help_option("-h", "--help")
def set_(file: Path, **given: Any) -> None:
    """Bake something else into the bundle FILE. Its weights are not touched, so it takes a moment at any size.

    What is not named stays. Whatever interrupts it, FILE is either what it was or what it was to be.

    The bundle's own flags for sampling (--temp, --top-k, ...) and --alias become its defaults, in place of earlier
    ones.
    """
    from bundler.changing.defaults import set_defaults
    from bundler.file.baked import NOTHING_BAKED
    from bundler.progress import progress_for

    name, baked = given["name"], baked_from(given)
    if (name, baked) == (None, NOTHING_BAKED):
        raise click.UsageError("nothing to change: name what is to be another, as in --system TEXT")
    set_defaults(file, name, baked, progress_for())
    _tell_of_change(file)


@click.command(params=[FILE, RUNTIME_FROM])
def upgrade(file: Path, runtime_from: Path | None) -> None:
    """Put the runtimes of this version of loaf into the bundle FILE, and new packs for those that it has.

    Its weights are not touched. Whatever interrupts it, FILE is either what it was or what it was to be.
    """
    from bundler.changing.defaults import upgrade as upgrade_bundle
    from bundler.programs import programs_from
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle
    from runtime.errors import escaped

    progress = progress_for()
    if upgrade_bundle(file, programs_from(runtime_from, progress), progress):
        _tell_of_change(file)
    else:
        click.echo(f"{file}: has the runtime of loaf {escaped(open_bundle(file).manifest.loaf)} already")


def _tell_of_change(file: Path) -> None:
    from bundler.text import human_size
    from bundler.trust.signing import signature_of
    from runtime.bundle import open_bundle

    click.echo(f"{file}: {human_size(file.stat().st_size)}, build {open_bundle(file).manifest.build_id[:16]}")
    if signature_of(file).exists():
        click.echo(f"Note: {signature_of(file)} is of what it was: sign it again.", err=True)


def _tell_of_base_models(models: Sequence[Model]) -> None:
    for model in models:
        if model.role == "model" and model.keeps_cache and not model.has_chat_template:
            click.echo(
                f"Note: {model.name} has no chat template: it goes on with text, and was not taught to answer. "
                "Where it is none, give it its template with --chat-template.",
                err=True,
            )


def _ask_which(error: SourceAmbiguous) -> str:
    """The choice of whoever sits at the terminal; where nobody does, the error says what there is."""
    from bundler.text import human_size
    from runtime.errors import escaped

    if not sys.stdin.isatty():
        raise error
    click.echo(f"{escaped(error.message)}:", err=True)
    for number, choice in enumerate(error.choices, 1):
        click.echo(f"{number:4}  {human_size(choice.size):>9}  {escaped(choice.spec)}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, len(error.choices)), err=True)
    return error.choices[number - 1].spec
