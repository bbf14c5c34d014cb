"""The `loaf` command: one function a command.

Imports in the functions, because a command should not wait for what the others need.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from bundler.options import BUILD_PARAMETERS, SET_PARAMETERS, baked_from, quantization_from
from runtime import __version__
from runtime.completion import SHELLS, Shell, script
from runtime.exits import errors_as_exit_codes

if TYPE_CHECKING:
    from bundler.errors import SourceAmbiguous
    from runtime.bundle import Model


def main() -> None:
    """The program."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that a half-written file is cleaned up
    with errors_as_exit_codes():
        loaf.main(standalone_mode=False, prog_name="loaf")


def _read_recipe(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """What the recipe says stands where the command line says nothing."""
    from bundler.recipe import read_recipe

    if path is not None:
        context.default_map = read_recipe(path, BUILD_PARAMETERS)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="loaf", message="%(prog)s %(version)s")
def loaf() -> None:
    """Turn GGUF model weights into one executable file that serves and chats."""


@loaf.command(params=list(BUILD_PARAMETERS))
@click.option(
    "-f", "--recipe", type=click.Path(path_type=Path), is_eager=True, expose_value=False, callback=_read_recipe,
    help="Take what is not given here from this file (docs/build.md).",
)  # fmt: skip
def build(model: str, output: Path | None, backend: tuple[str, ...], **given: Any) -> None:
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
      demo                       the embedded model

    Clients choose by name among several models; the first is meant where they name none. A path
    with a = in it is written ./A=B.gguf after --also.

    The bundle's own flags for sampling (--temp, --top-k, ...) and --alias become its defaults.
    """
    from bundler.build import BuildRequest
    from bundler.build import build as build_bundle
    from bundler.freeze import freeze_runtime
    from bundler.packs import find_recipe
    from bundler.progress import progress_for
    from bundler.text import human_size

    progress = progress_for()
    recipes = {recipe.backend: recipe for recipe in map(find_recipe, backend)}
    for recipe in recipes.values():
        recipe.find_toolchain()  # says what is missing before anything is downloaded
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
    )
    built = build_bundle(request, lambda: freeze_runtime(progress), progress, _ask_which)
    click.echo(f"{built.path}: {human_size(built.size)}, of it weights {human_size(built.weights_size)}")
    _tell_of_unused(built.models)


@loaf.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("model")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def run_(model: str, flags: tuple[str, ...]) -> None:
    """Run MODEL where it lies, without making a file of it first.

    MODEL is what it is for `loaf build`. FLAGS are those of the file that would be built: -p TEXT, --server, ...;
    --help behind MODEL lists them. What comes with the weights (system prompt, parameters, adapters) applies.
    """
    from bundler.freeze import freeze_runtime
    from bundler.progress import progress_for
    from bundler.running import become, prepare

    progress = progress_for()
    become(prepare(model, lambda: freeze_runtime(progress), progress, _ask_which), flags)


@loaf.command("set", params=list(SET_PARAMETERS))
def set_(file: Path, **given: Any) -> None:
    """Bake something else into the bundle FILE. Its weights are not touched, so it takes a moment at any size.

    What is not named stays. Whatever interrupts it, FILE is either what it was or what it was to be.
    """
    from bundler.baked import NOTHING_BAKED
    from bundler.changing import set_defaults
    from bundler.progress import progress_for

    name, baked = given["name"], baked_from(given)
    if (name, baked) == (None, NOTHING_BAKED):
        raise click.UsageError("nothing to change: name what is to be another, as in --system TEXT")
    models = set_defaults(file, name, baked, progress_for())
    _tell_of_change(file)
    _tell_of_unused(models)


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
def upgrade(file: Path) -> None:
    """Put the runtime of this version of loaf into the bundle FILE, and new packs for those that it has.

    Its weights are not touched. Whatever interrupts it, FILE is either what it was or what it was to be.
    """
    from bundler.changing import upgrade as upgrade_bundle
    from bundler.freeze import freeze_runtime
    from bundler.progress import progress_for

    progress = progress_for()
    if upgrade_bundle(file, lambda: freeze_runtime(progress), progress):
        _tell_of_change(file)
    else:
        click.echo(f"{file}: has the runtime of loaf {__version__} already")


@loaf.command()
def doctor() -> None:
    """Say what this machine has for running bundles and building them, and what to do where it lacks something.

    The exit code is 1 where nothing can be built as it is.
    """
    from bundler.doctor import describe_this_machine, findings

    for line in describe_this_machine():
        click.echo(line)
    click.echo()
    found = list(findings())
    for finding in found:
        click.echo(finding.sentence)
    sys.exit(any(finding.is_fatal for finding in found))


@loaf.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: Shell) -> None:
    """Say what lets SHELL complete this command's words (docs/completion.md)."""
    click.echo(script(shell, "loaf"), nl=False)


@loaf.command()
def models() -> None:
    """List what this machine has already, in the stores of other programs."""
    from bundler.sources.installed import installed
    from bundler.text import human_size

    for found in installed():
        click.echo(f"{human_size(found.size):>9}  {found.spec}")


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--sbom", is_flag=True, help="List the software and the models in a bundle, with licences: CycloneDX.")
def inspect(file: Path, as_json: bool, sbom: bool) -> None:
    """Say what is in FILE, a GGUF or a bundle, and how much memory it needs."""
    from bundler.inspect import inspect as inspect_file
    from bundler.inspect import to_json, to_text

    if sbom:
        from bundler.sbom import to_sbom
        from runtime.bundle import open_bundle

        click.echo(to_sbom(open_bundle(file)))
        return
    report = inspect_file(file)
    click.echo(to_json(report) if as_json else to_text(report))


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The bundle to write [FILE's name, -thin.loaf].")
def split(file: Path, output: Path | None) -> None:
    """Write the bundle FILE anew without its weights, and those beside it: where one large file cannot be.

    The two belong into one folder. `loaf build` makes one file of them again.
    """
    from bundler.beside import split as split_bundle
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle

    total = sum(entry.size for entry in open_bundle(file).manifest.entries)
    with progress_for().step(f"Splitting {file}", total, "bytes") as advance:
        paths = split_bundle(file, output or Path(f"{file.stem}-thin.loaf"), advance)
    for path in paths:
        click.echo(path)


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The folder to write to [FILE's name, without .loaf]."
)
def extract(file: Path, output: Path | None) -> None:
    """Take the bundle FILE apart: weights, runtime, manifest."""
    from bundler.extract import extract as extract_bundle
    from bundler.progress import progress_for
    from runtime.bundle import open_bundle

    bundle = open_bundle(file)
    total = sum(span.size for span in bundle.spans.values()) + sum(entry.size for entry in bundle.beside())
    folder = output or Path(file.stem if file.suffix else f"{file.name}.d")
    with progress_for().step(f"Extracting {file}", total, "bytes") as advance:
        paths = extract_bundle(bundle, folder, advance)
    for path in paths:
        click.echo(path)


@loaf.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Say in what the bundles A and B differ. The exit code is 0 where they are the same, else 1."""
    from bundler.diff import differences, to_json, to_text
    from runtime.bundle import open_bundle

    found = differences(open_bundle(a), open_bundle(b))
    if found or as_json:
        click.echo(to_json(found) if as_json else to_text(found))
    if found:
        sys.exit(1)


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", metavar="KEY", help="Also check that this key signed it: minisign.pub, or its text.")
def verify(file: Path, key: str | None) -> None:
    """Check that every byte of the bundle FILE is as it was built."""
    from bundler.errors import BundleNotIntact
    from bundler.progress import progress_for
    from bundler.verify import verify as verify_bundle
    from runtime.bundle import open_bundle, read_head

    bundle = open_bundle(file)
    if key is not None:
        _check_signature(file, key)
    total = sum(entry.size for entry in bundle.manifest.entries)
    with progress_for().step(f"Verifying {file}", total, "bytes") as advance:
        damages = verify_bundle(bundle, advance)
    if damages:
        raise BundleNotIntact(file, [f"{damage.part}: {damage.problem}" for damage in damages])
    click.echo(f"{file}: intact, build {bundle.manifest.build_id[:16]}")
    if not read_head(file).is_settled:
        click.echo("A change of it was interrupted: what is left over goes with the next loaf set or upgrade.")


@loaf.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The secret key: minisign.key.")
def sign(file: Path, key: Path) -> None:
    """Sign the bundle FILE, as the program minisign does: into FILE.minisig.

    Whoever has your public key checks it with `loaf verify --key` or `minisign -V`.
    """
    from bundler.progress import progress_for
    from bundler.trust import sign_bundle

    with progress_for().step(f"Signing {file}", file.stat().st_size, "bytes") as advance:
        signature = sign_bundle(file, key, _ask_password, advance)
    click.echo(signature)


@loaf.group()
def runtime() -> None:
    """The program that goes into every bundle."""


@runtime.command("build")
def build_runtime() -> None:
    """Compile and freeze it now, rather than when the first bundle is built."""
    from bundler.freeze import freeze_runtime
    from bundler.progress import progress_for
    from bundler.text import human_size

    frozen = freeze_runtime(progress_for())
    click.echo(
        f"{frozen.archive}: {frozen.platform}, {human_size(frozen.size)} packed, "
        f"{human_size(frozen.unpacked_size)} unpacked, glibc {frozen.glibc} or newer"
    )


@runtime.command("pack")
@click.argument("backend", metavar="BACKEND[:CHIPS]")
def pack_backend(backend: str) -> None:
    """Compile the pack of BACKEND now, rather than when the first bundle with it is built.

    \b
    BACKEND is one of vulkan, cuda, rocm, metal. CHIPS, for cuda and rocm, lists what to compile for,
    as CMake has it: cuda:75-real;86-real;90-virtual (the last: PTX, for newer cards too).
    """
    from bundler.packs import compiled_pack, find_recipe
    from bundler.progress import progress_for
    from bundler.text import human_size

    pack = compiled_pack(find_recipe(backend), progress_for())
    click.echo(
        f"{pack.archive}: {pack.platform}, {human_size(pack.size)} packed, {human_size(pack.unpacked_size)} unpacked, "
        f"needs {', '.join(pack.needs) or 'nothing'}"
    )


@runtime.command("list")
def list_runtimes() -> None:
    """List the backends that packs can be made of, and the packs that this machine has made."""
    from bundler.packs import describe_packs

    for line in describe_packs():
        click.echo(line)


def _tell_of_change(file: Path) -> None:
    from bundler.text import human_size
    from bundler.trust import signature_of
    from runtime.bundle import open_bundle

    click.echo(f"{file}: {human_size(file.stat().st_size)}, build {open_bundle(file).manifest.build_id[:16]}")
    if signature_of(file).exists():
        click.echo(f"Note: {signature_of(file)} is of what it was: sign it again.", err=True)


def _check_signature(file: Path, key: str) -> None:
    from bundler.progress import progress_for
    from bundler.text import printable
    from bundler.trust import check_signature

    with progress_for().step(f"Checking the signature of {file}", file.stat().st_size, "bytes") as advance:
        comment = check_signature(file, key, advance)
    click.echo(f"{file}: signed, and with it was said: {printable(comment)}")


def _ask_password() -> str:
    """Of a key. Where nobody sits at a terminal, it is the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password of the key", hide_input=True, err=True)
    return password


def _tell_of_unused(models: Sequence[Model]) -> None:
    from bundler.baked import UNUSED

    for role in dict.fromkeys(model.role for model in models):
        if role in UNUSED:
            click.echo(f"Note: {UNUSED[role]}", err=True)


def _ask_which(error: SourceAmbiguous) -> str:
    """The choice of whoever sits at the terminal; where nobody does, the error says what there is."""
    from bundler.text import human_size

    if not sys.stdin.isatty():
        raise error
    click.echo(f"{error.message}:", err=True)
    for number, choice in enumerate(error.choices, 1):
        click.echo(f"{number:4}  {human_size(choice.size):>9}  {choice.spec}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, len(error.choices)), err=True)
    return error.choices[number - 1].spec


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
