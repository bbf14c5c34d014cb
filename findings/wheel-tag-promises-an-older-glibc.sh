#!/usr/bin/env bash
# Expected: a wheel that is tagged manylinux2014 runs with glibc 2.17 and newer (PEP 599), since pip decides by the
# tag whether a machine can have it, and an index takes no wheel for Linux without such a tag.
# Instead: the tag is its author's word, and neither the index nor pip looks inside. Of this llama.cpp, the libraries
# in the wheel ask for glibc 2.38: on Debian 12 (2.36) pip installs it without a word, and importing it fails.
# It matters to whoever packs Python programs: that everything could be installed on an old system does not say that
# it runs there. What counts is in the libraries (auditwheel shows it; a few lines of Python do, too).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
{
    python3 -m venv venv && venv/bin/pip -qq download --no-deps --only-binary :all: --platform manylinux2014_x86_64 \
        --dest . llama-cpp-py-sync==0.11739
} || exit 2

venv/bin/python - <<'PYTHON'
import platform
import re
import sys
import zipfile
from pathlib import Path

(wheel,) = Path().glob("*.whl")
tag = wheel.stem.split("-")[-1]
print(wheel.name)

newest = 0
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if ".so" in Path(name).suffixes:
            # versions of symbols, as an ELF file's table of strings has them
            versions = [int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)(?=[\0.])", archive.read(name))]
            print(f"  {name}: glibc 2.{max(versions)}")
            newest = max(newest, *versions)

print(f"tagged {tag}, asks for glibc 2.{newest}; here it is {' '.join(platform.libc_ver())}")
if tag != "manylinux2014_x86_64" or newest != 38:
    sys.exit("Changed: the wheel is another one.")
print("Still so: a wheel for glibc 2.38 can be had as one for glibc 2.17.")
PYTHON
