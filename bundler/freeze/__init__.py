"""Makes the programs that go into files, the runtime and `loaf`: compiled, frozen, packed; kept until an input changes.

pipeline → all of it, in order                      pins → which versions go in
llama → llama-cpp-python, put together              variants → for which processors
libraries, mtmd → llama.cpp, compiled               compiler, cmake, ninja → with what, and how far it is
sources, corrections → what is compiled             environment, packages → what is installed, and from where
core → the frozen program, builder → that of `loaf` contents, licenses → what is in it
c_library, elf → the C library that goes along, and how programs find it
platforms → what differs from one platform to the next
pack → a folder as an archive                       media → what pictures and sounds need, as a pack
process, at_once → long commands, one or several    page → the browser page, built
                                                    develop → the checkout's own environment

The pipeline knows the order of the steps and what each depends on, and refuses to know what they do.
"""

from bundler.freeze.contents import Software
from bundler.freeze.media import FrozenMedia, freeze_media
from bundler.freeze.pipeline import FrozenRuntime, freeze_runtime, frozen_runtimes, made_runtime
from bundler.freeze.platforms import all_platforms, find_platform, this_platform

__all__ = [
    "FrozenMedia",
    "FrozenRuntime",
    "Software",
    "all_platforms",
    "find_platform",
    "freeze_media",
    "freeze_runtime",
    "frozen_runtimes",
    "made_runtime",
    "this_platform",
]
