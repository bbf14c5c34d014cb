"""Makes the runtime that goes into every bundle: compiled, frozen, packed; kept until an input changes.

Knows the order of the steps and what each depends on. Refuses to know what they do: `wheel`, `environment`,
`core` and `pack` each know their own.
"""

from bundler.freeze.contents import Software
from bundler.freeze.pipeline import FrozenRuntime, freeze_runtime

__all__ = ["FrozenRuntime", "Software", "freeze_runtime"]
