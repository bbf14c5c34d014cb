"""What is known of a GPU, whichever driver was asked."""

from __future__ import annotations

from typing import Literal

import msgspec

from runtime.bundle import Backend

TITLES: dict[Backend, str] = {"cuda": "CUDA", "rocm": "ROCm", "metal": "Metal", "vulkan": "Vulkan"}
"""As their owners write them; ggml names devices by them, with a number."""

Kind = Literal["discrete", "integrated", "virtual", "software"]


class Device(msgspec.Struct, frozen=True):
    """A device of `backend`, the `number`-th that its driver lists. `total` and `free` are bytes of its memory.

    Two drivers may list the same one: then `identity` is the same, where it is known.
    """

    backend: Backend
    number: int
    name: str
    kind: Kind
    total: int
    free: int
    driver: str
    identity: str = ""

    @property
    def label(self) -> str:
        """What `--device` and `--list-devices` call it: Vulkan0."""
        return f"{TITLES[self.backend]}{self.number}"


class Report(msgspec.Struct, frozen=True):
    """What the driver of `backend` answered, if it did: its devices, or a clause that says why there are none."""

    backend: Backend
    devices: tuple[Device, ...] = ()
    problem: str = ""
    answered: bool = True
