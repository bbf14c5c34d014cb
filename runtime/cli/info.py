"""`--info`: what is in the file, for people."""

from __future__ import annotations

import platform

from runtime import __version__
from runtime.bundle import Bundle
from runtime.cli.arguments import shown_arguments
from runtime.errors import escaped


def describe(bundle: Bundle | None) -> str:
    """A few lines; None when the program was not launched from a bundle."""
    lines = [f"loaf {__version__} on {platform.system()} {platform.machine()}, Python {platform.python_version()}"]
    if bundle is None:
        return "\n".join([*lines, "no bundle: name weights with -m FILE"])
    manifest = bundle.manifest
    lines.append(f"bundle  {manifest.name}, {bundle.path.stat().st_size:,} bytes, build {manifest.build_id[:16]}")
    for model in manifest.models:
        context = f", context {model.context_length:,}" if model.context_length else ""
        lines.append(
            f"{model.role:7} {model.name}: {model.architecture}, {model.parameter_count:,} parameters, "
            f"{model.quantization}{context}, {bundle.place_of(model.entry).size:,} bytes"
            f"{', licence ' + model.license if model.license else ''}"
            f"{f', scale {model.scale:g}' if model.role == 'lora' else ''}"
        )
    for frozen in manifest.runtimes:
        lines.append(f"runtime {frozen.platform}, {frozen.c_library}, Python {frozen.python}")
        lines += [f"        {package.name} {package.version}" for package in frozen.packages]
    lines += [f"pack    {pack.backend} on {pack.platform}, needs {', '.join(pack.needs)}" for pack in manifest.packs]
    if bundle.args.strip():
        lines.append(f".args   {shown_arguments(bundle.args)}")
    if manifest.system:
        lines.append(f"system  {manifest.system}")
    return "\n".join(map(escaped, lines))
