"""What is asked to be baked in, and cannot be."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import LoafError


class UnusableText(LoafError):
    """The text of `option` cannot be stored in a bundle."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}", f"Give {option} another one. Nothing was written.")
        self.option = option


class DefaultsRefused(LoafError):
    """The program does not understand what is baked into its bundle. `problem` is what it said."""

    def __init__(self, problem: str, hint: str = "Nothing was written.") -> None:
        super().__init__(f"what is baked in cannot be used: {problem}", hint)
        self.problem = problem


class RecipeError(LoafError):
    """`line` (from 1 on) of the recipe `path` is wrong: at `key`, or None where it is not TOML."""

    def __init__(self, path: Path, line: int, key: str | None, problem: str) -> None:
        super().__init__(f"{path}:{line}: {f'{key}: ' if key else ''}{problem}", "docs/build.md lists what it may say.")
        self.path = path
        self.line = line
        self.key = key
        self.problem = problem
