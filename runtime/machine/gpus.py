"""Whether this machine has a GPU at all, told without asking any driver: by the nodes that the kernel makes for one."""

from __future__ import annotations

from pathlib import Path

_NODES = ("dri/renderD*", "nvidia[0-9]*", "kfd", "dxg")
"""Of DRM, of NVIDIA's driver, of AMD's for computing, and of Windows' below WSL."""


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether one could be asked; it need not be one that can compute."""
    return any(any(devices.glob(pattern)) for pattern in _NODES)
