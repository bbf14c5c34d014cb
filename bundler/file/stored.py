"""The entries of a bundle that is there, as they were written.

Knows how the archive's directory and the manifest complete each other. Refuses to know whether they are right
(`bundler/looking/verify.py`).
"""

from __future__ import annotations

from bundler.file.archive import Stored
from runtime.bundle import Bundle, open_archive


def stored_entries(bundle: Bundle) -> list[Stored]:
    """The archive's directory, with each entry's SHA-256 as the manifest has it: "" where it does not list it.

    Raises `BundleDamaged`, `OSError`.
    """
    sha256 = {entry.name: entry.sha256 for entry in bundle.manifest.entries}
    with open_archive(bundle.path) as archive:
        return [
            Stored(
                name=info.filename,
                header_offset=info.header_offset,
                data_offset=bundle.spans[info.filename].offset,
                size=info.file_size,
                crc32=info.CRC,
                sha256=sha256.get(info.filename, ""),
            )
            for info in archive.infolist()
        ]
