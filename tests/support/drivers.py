"""Drivers that are broken, and drivers of devices that nobody has: compiled here, a few lines of C each."""

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


CUDA_DRIVER = """
int cuInit(unsigned flags) { return flags; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "Fake %d", 9000 + device); return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t) (24 + device) << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 18 && device == 1; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *) (size_t) (100 + device); return 0; }
int cuCtxSetCurrent(void *context) { current = (int) (size_t) context - 100; return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = (size_t) (20 + current) << 30; *total = (size_t) (24 + current) << 30; return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return device != current; }
"""
"""As cuda.h declares them. The second device is integrated."""

HIP_RUNTIME = """
int hipGetDeviceCount(int *count) { *count = 2; return 0; }
int hipDriverGetVersion(int *version) { *version = 60443483; return 0; }
int hipDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "Fake %d", 9000 + device); return 0;
}
int hipSetDevice(int device) { current = device; return 0; }
int hipMemGetInfo(size_t *free, size_t *total) {
    *free = (size_t) (20 + current) << 30; *total = (size_t) (24 + current) << 30; return 0;
}
"""
"""As hip_runtime_api.h declares them."""


def fake_library(path: Path, functions: str) -> None:
    """A library with these functions of C, which share a number `current`."""
    source = path.with_suffix(".c")
    source.write_text(f"#include <stddef.h>\n#include <stdio.h>\nstatic int current = -1;\n{functions}")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, source], check=True)
