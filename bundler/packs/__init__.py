"""Backend packs: ggml's backends for GPUs, each compiled on its own as a library that a runtime loads where it can.

pipeline → a pack, made or found in the cache      compiling → one backend's library
recipes → how each is compiled: one table          toolchains → what that takes, and whether it is here
listing → which there are, and which programs, for people

Refuses to know how the runtime itself is made (`freeze/`) and when a pack is used (`runtime/backends/`).
"""

from bundler.packs.listing import describe_packs, describe_programs
from bundler.packs.pipeline import BackendPack, compiled_pack, packs_made
from bundler.packs.recipes import Recipe, find_recipe

__all__ = ["BackendPack", "Recipe", "compiled_pack", "describe_packs", "describe_programs", "find_recipe", "packs_made"]
