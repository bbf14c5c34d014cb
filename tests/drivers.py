"""Vulkan drivers that are broken, for the real loader: compiled here, a few lines of C each."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

CRASHES = "abort();"
HANGS = "for (;;) pause();"


def broken_driver(folder: Path, does: str) -> Path:
    """The manifest of a driver that does as the C statement says as soon as it is loaded."""
    source, library, manifest = folder / "driver.c", folder / "driver.so", folder / "driver.json"
    source.write_text(
        f"#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) static void start(void) {{ {does} }}\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    manifest.write_text(
        json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": str(library), "api_version": "1.3.0"}})
    )
    return manifest
