"""The bundle's format: what a `.loaf` file holds and where.

A bundle is a shell script (the launcher), padded to `ALIGNMENT`, followed by a ZIP archive whose offsets
count from the start of the file. `manifest.json` in it is the one contract between the bundler, which
writes it, and the runtime, which is launched from it.

`format` has names and schema, `opening` reads a file, `checking` holds what it says against what it is, `head` is its
first 64 KiB, `errors` what can be wrong.
Knows names, schema and positions. Refuses to know how bundles are written (`bundler/file/archive.py`) and
what is inside weights.
"""

from runtime.bundle.checking import check_entries
from runtime.bundle.errors import (
    BundleDamaged,
    BundleError,
    BundleTooNew,
    BundleTruncated,
    NoModelInside,
    NotABundle,
    WeightsNotBeside,
)
from runtime.bundle.format import (
    ALIGNMENT,
    ARGS,
    LICENSE_TEXT,
    LICENSES,
    MANIFEST,
    MODELS,
    README,
    RUNTIMES,
    SCHEMA,
    WARM_STATE,
    WARM_TEXT,
    Backend,
    Bundle,
    Entry,
    Manifest,
    MediaPack,
    Model,
    Pack,
    Package,
    Place,
    Role,
    Runtime,
    Span,
    Warm,
)
from runtime.bundle.opening import (
    check_beside,
    check_has_models,
    is_bundle,
    open_archive,
    open_bundle,
    read_head,
    span_of,
    stated_size,
)

__all__ = [
    "ALIGNMENT",
    "ARGS",
    "LICENSES",
    "LICENSE_TEXT",
    "MANIFEST",
    "MODELS",
    "README",
    "RUNTIMES",
    "SCHEMA",
    "WARM_STATE",
    "WARM_TEXT",
    "Backend",
    "Bundle",
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "BundleTruncated",
    "Entry",
    "Manifest",
    "MediaPack",
    "Model",
    "NoModelInside",
    "NotABundle",
    "Pack",
    "Package",
    "Place",
    "Role",
    "Runtime",
    "Span",
    "Warm",
    "WeightsNotBeside",
    "check_beside",
    "check_entries",
    "check_has_models",
    "is_bundle",
    "open_archive",
    "open_bundle",
    "read_head",
    "span_of",
    "stated_size",
]
