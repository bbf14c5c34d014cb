"""Writes into an open file what has been laid out.

Refuses to know whether the file is a new one (`bundler/making/`) or one that is being changed (`bundler/changing/`),
where things come to lie (`layout.py`), and how an entry looks (`archive.py`).
"""

from __future__ import annotations

from dataclasses import replace

from bundler.file.archive import Stored, close_with, local_header
from bundler.file.copying import Advance, write_all
from bundler.file.digests import copied
from bundler.file.launcher import LaunchTarget, render_launcher
from bundler.file.layout import Layout, end_of, lay_out
from bundler.file.manifest import manifest_of
from bundler.file.plan import Plan, PlannedRuntime
from runtime.bundle import MANIFEST
from runtime.bundle.head import make_head


def write_file(layout: Layout, fd: int, advance: Advance) -> None:
    """Write the whole bundle. Raises as `write_parts` does."""
    write_all(fd, make_head(write_parts(layout, fd, advance)), 0)


def write_parts(layout: Layout, fd: int, advance: Advance) -> bytes:
    """Write everything behind the head; returns the launcher, which states sizes and positions, for the head.

    `advance` is called with the number of bytes each time some are written. Raises `DigestMismatch`, `AnotherDigest`,
    `SourceChanged`, `OSError`.
    """
    plan, stored, end = layout.plan, list(layout.kept), layout.start
    for placed in layout.placed:
        digests = copied(placed.part, fd, placed.entry.data_offset, advance)
        entry = replace(placed.entry, sha256=digests.sha256, crc32=digests.crc32)
        write_all(fd, bytes(entry.header_offset - end) + local_header(entry), end)
        stored.append(entry)
        end = end_of(stored)
    places = {entry.name: entry for entry in stored}
    targets = [_target(program, places[program.about.entry]) for program in plan.launched]
    launcher = render_launcher(plan.name, plan.loaf, layout.size, targets, builds=bool(plan.builders))
    closing = close_with(stored, end, MANIFEST, manifest_of(plan, make_head(launcher), stored))
    write_all(fd, closing, end)
    assert end + len(closing) == layout.size, "the launcher states another size than was written"
    return launcher


def write_hollow(plan: Plan, fd: int) -> None:
    """Write a bundle without programs into the empty file `fd`, which has holes where the weights would be.

    For whoever reads no more of it than what is baked in.
    """
    hollow = replace(plan, runtimes=(), packs=(), media=(), documents=(), warmth=None)
    weights = [placed.entry for placed in lay_out(hollow).placed[: len(hollow.weights)]]
    for entry in weights:
        write_all(fd, local_header(entry), entry.header_offset)
    write_file(lay_out(hollow, weights), fd, lambda _bytes: None)


def _target(runtime: PlannedRuntime, core: Stored) -> LaunchTarget:
    about = runtime.about
    return LaunchTarget(
        platform=about.platform,
        offset=core.data_offset,
        size=core.size,
        unpacked_size=about.unpacked_size,
        sha256=core.sha256,
        glibc=about.glibc,
        executable=about.program,
    )
