"""`loaf runtime list`: which programs and packs there are, can be made, and why others cannot. For people."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.errors import FreezeError
from bundler.freeze import all_platforms, made_runtime
from bundler.freeze.compiler import find_compiler
from bundler.freeze.libraries import libraries_key
from bundler.freeze.variants import describe_variants
from bundler.packs.pipeline import BackendPack, packs_made
from bundler.packs.recipes import RECIPES, Recipe
from bundler.text import human_size


def describe_programs() -> Iterator[str]:
    """A line for each platform that programs are made for here."""
    for platform in all_platforms():
        runtime = made_runtime(platform)
        if runtime is not None:
            about = f"{human_size(runtime.size)} packed, {describe_variants(runtime.platform, runtime.variants)}"
        elif platform.package_made() is not None:
            about = f"compiled, not frozen for this loaf yet: loaf runtime freeze --platform {platform.name}"
        else:
            about = f"not made: loaf runtime freeze --platform {platform.name}"
        yield f"{platform.name}: {about}"


def describe_packs() -> Iterator[str]:
    """A line for each backend, then for each pack of it that fits, and for all that do not. Raises CompilerMissing."""
    fits = libraries_key(find_compiler())
    made = list(packs_made())
    for recipe in RECIPES:
        yield f"{recipe.backend:<8} {_state(recipe)}"
        of_it = [pack for pack in made if pack.backend == recipe.backend]
        for pack in of_it:
            if pack.fits == fits:
                yield f"  {_described(pack)}"
        if others := sum(pack.fits != fits for pack in of_it):
            yield f"  {others} made for other versions of llama.cpp or of the compiler, which are not used"
    yield "rpc      a part of every runtime"


def _state(recipe: Recipe) -> str:
    try:
        version = recipe.find_toolchain().version
    except FreezeError as error:
        return error.message
    return f"can be compiled with {version}{'' if recipe.tested else '; never tested'}"


def _described(pack: BackendPack) -> str:
    return (
        f"{pack.platform}, {human_size(pack.size)} packed, {human_size(pack.unpacked_size)} unpacked, needs "
        f"{', '.join(pack.needs) or 'nothing'}, made with {pack.made_with}"
    )
