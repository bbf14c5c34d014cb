"""Commands about the program that goes into every bundle."""

from __future__ import annotations

import click

from bundler.making.options import BackendName, PlatformName


@click.group()
def runtime() -> None:
    """The program that goes into every bundle."""
    from bundler.errors import NothingToFreezeWith
    from bundler.paths import is_frozen

    if is_frozen():
        raise NothingToFreezeWith("it has them in it (loaf inspect); a checkout of loaf makes others")


@runtime.command("freeze")
@click.option(
    "--platform", type=PlatformName(), help="For which machines: linux-x86_64, linux-aarch64 [those like this one]."
)
@click.option("--complete", is_flag=True, help="With all variants for processors, not only those that matter here.")
def freeze(platform: str | None, complete: bool) -> None:
    """Compile and freeze it now, rather than when the first bundle is built.

    Bundles that are built afterwards hold it beside the one for this machine. It runs on every processor of its kind;
    on those that are newer than this machine's it is quicker when it is --complete, which takes a quarter of an hour of
    two cores, once. What is compiled already is not compiled again.
    """
    from bundler.freeze import find_platform, freeze_runtime
    from bundler.freeze.variants import describe_variants
    from bundler.progress import progress_for
    from bundler.text import human_size

    frozen = freeze_runtime(progress_for(), find_platform(platform) if platform else None, complete=complete)
    click.echo(
        f"{frozen.archive}: {frozen.platform}, {human_size(frozen.size)} packed, "
        f"{human_size(frozen.unpacked_size)} unpacked, glibc {frozen.glibc} or newer, else its own; "
        f"{describe_variants(frozen.platform, frozen.variants)}"
    )


@runtime.command("pack")
@click.argument("backend", type=BackendName(), metavar=BackendName.name)
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
    """List the programs that this machine has made, by platform, and the packs that it has made or can make."""
    from bundler.packs import describe_packs, describe_programs

    for line in (*describe_programs(), *describe_packs()):
        click.echo(line)
