"""`loaf runtime list`: which packs there are, can be made, and why others cannot. For people."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.errors import FreezeError
from bundler.freeze.compiler import find_compiler
from bundler.freeze.wheel import wheel_key
from bundler.packs.pipeline import BackendPack, packs_made
from bundler.packs.recipes import RECIPES, Recipe
from bundler.text import human_size


def describe_packs() -> Iterator[str]:
    """A line for each backend, then one for each pack of it. Raises CompilerMissing."""
    fits = wheel_key(find_compiler())
    made = list(packs_made())
    for recipe in RECIPES:
        yield f"{recipe.backend:<8} {_state(recipe)}"
        for pack in made:
            if pack.backend == recipe.backend:
                yield f"  {_described(pack, fits)}"
    yield "rpc      a part of every runtime"


def _state(recipe: Recipe) -> str:
    try:
        version = recipe.find_toolchain().version
    except FreezeError as error:
        return error.message
    return f"can be compiled with {version}{'' if recipe.tested else '; never tested'}"


def _described(pack: BackendPack, fits: str) -> str:
    fit = "" if pack.fits == fits else ", for another version of llama.cpp or of the compiler"
    return (
        f"{pack.platform}, {human_size(pack.size)} packed, {human_size(pack.unpacked_size)} unpacked, needs "
        f"{', '.join(pack.needs) or 'nothing'}, made with {pack.made_with}{fit}"
    )
