"""What differs from one platform to the next while a runtime is frozen: the same few verbs for each.

platform → the verbs      native → this machine, whatever it is      linux_aarch64/ → 64-bit ARM, made elsewhere

Refuses to know in which order the verbs are called (`pipeline.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from bundler.errors import NoSuchPlatform
from bundler.freeze.platforms.linux_aarch64 import LinuxAarch64
from bundler.freeze.platforms.native import Native
from bundler.freeze.platforms.platform import Installed, Platform

__all__ = ["Installed", "Platform", "all_platforms", "find_platform", "this_platform"]

_FROM_ELSEWHERE: tuple[Platform, ...] = (LinuxAarch64(),)
"""Those that machines of another kind can make programs for."""


def this_platform() -> Platform:
    """This machine's own."""
    return Native()


def all_platforms() -> Iterator[Platform]:
    """Those for which this machine can make programs, its own first."""
    here = this_platform()
    yield here
    yield from (platform for platform in _FROM_ELSEWHERE if platform.name != here.name)


def find_platform(name: str) -> Platform:
    """The one called `name`, as "linux-aarch64". Raises `NoSuchPlatform`."""
    known = {platform.name: platform for platform in all_platforms()}
    if name not in known:
        raise NoSuchPlatform(name, list(known))
    return known[name]
