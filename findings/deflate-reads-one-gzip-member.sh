#!/usr/bin/env bash
# Expected: a gzip file of several members, one behind the other, is their contents joined (RFC 1952, 2.2): gzip,
# Python's gzip and zcat read it so. bgzip and `cat a.gz b.gz` make such files, and so does whoever appends to a log.
# Instead: gzip_decompress of the package deflate (libdeflate for Python) returns the first member only, without an
# error, where the last one is not smaller than it; otherwise it raises DeflateError, since it takes the size of the
# last one for the size of everything.
# It matters to whoever takes it for a faster gzip: data is lost in silence, and whether it is depends on the sizes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" -qq install deflate==0.9.0; } || exit 2

"$work/venv/bin/python" - <<'PYTHON'
import gzip
import sys
from importlib.metadata import version

import deflate

print("deflate", version("deflate"))
small, large = b"s" * 10, b"L" * 1000


def read(*members: bytes) -> bytes | None:
    """What the package makes of a file with these members; None: an error."""
    file = b"".join(gzip.compress(member) for member in members)
    expected = gzip.decompress(file)
    assert expected == b"".join(members)
    try:
        result = bytes(deflate.gzip_decompress(file))
    except deflate.DeflateError as error:
        print(f"members of {[len(member) for member in members]} bytes: {error!r}")
        return None
    print(f"members of {[len(member) for member in members]} bytes: {len(result)} of {len(expected)} bytes")
    return result


if read(large) != large:
    sys.exit("Changed: one member is not read either.")
if (read(large, large), read(small, large), read(small, small, large)) != (large, small, small):
    sys.exit("Changed: several members are read in another way.")
if read(large, small) is not None:
    sys.exit("Changed: a last member that is smaller is no error.")
print("Still so: of several members, the first is all.")
PYTHON
