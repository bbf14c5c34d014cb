"""What a bundle holds besides the weights that it serves and the programs: defaults, adapters, texts for people.

Knows what there is and what comes first where several say it: the user, then what came with the weights. Refuses to
know how the user says it (`bundler/making/options.py`) and where it comes to lie (`writing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.bundle import LICENSE_TEXT, README, WARM_TEXT, Bundle, Model
from runtime.cli.arguments import parse_arguments, with_arguments, without_flags
from runtime.cli.options import GROUPS

PartRole = Literal["lora", "draft", "projector"]


@dataclass(frozen=True, slots=True)
class Part:
    """A GGUF that belongs to the first model, and what for. `scale`: how strongly an adapter is applied.

    It begins `offset` bytes into the file `path` and has `size` bytes; None: to its end.
    """

    role: PartRole
    path: Path
    name: str
    offset: int = 0
    size: int | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Baked:
    """None, or no part of a role: nothing is said of it.

    `args` is the text of `.args`; `flags` are further arguments in the same form, which come after it, in place of
    those of the same flags that are given once. `system`: the
    system prompt of chats that bring none. `chat_template` is Jinja, in place of the model's own. `license` and
    `readme` are texts for people. `warm`: what prompts begin with, so that it is computed at the build. Parts of the
    roles `without` are left out, where others bring them.
    """

    args: str | None = None
    flags: str = ""
    system: str | None = None
    chat_template: str | None = None
    license: str | None = None
    readme: str | None = None
    warm: str | None = None
    parts: tuple[Part, ...] = ()
    without: frozenset[PartRole] = frozenset()

    def over(self, other: Baked) -> Baked:
        """What this says, and where it says nothing, what `other` does."""
        texts = {
            name: getattr(other, name) if getattr(self, name) is None else getattr(self, name)
            for name in ("args", "system", "chat_template", "license", "readme", "warm")
        }
        mine = {part.role for part in self.parts} | self.without
        kept = tuple(part for part in other.parts if part.role not in mine)
        flags = f"{other.flags}\n{self.flags}" if self.args is None else self.flags
        return Baked(**texts, flags=flags.strip(), parts=(*self.parts, *kept))

    def arguments(self) -> str:
        """The whole text of `.args`. Raises `BadArguments`."""
        args = self.args or ""
        again = {name: takes for word in parse_arguments(self.flags, {}).before for name, takes in _names(word).items()}
        return with_arguments(without_flags(args, again) if again else args, self.flags)


NOTHING_BAKED = Baked()


def baked_in(bundle: Bundle) -> Baked:
    """What `bundle` holds of it. Raises `OSError`."""
    manifest = bundle.manifest
    return Baked(
        args=bundle.args,
        system=manifest.system,
        chat_template=manifest.chat_template,
        license=bundle.text(LICENSE_TEXT),
        readme=bundle.text(README),
        warm=bundle.text(WARM_TEXT),
        parts=tuple(_part(bundle, model) for model in manifest.models if model.role != "model"),
    )


def _names(word: str) -> dict[str, int]:
    """All names of the flag `word`, and how many words each takes; none of one that may be given several times."""
    flags = (flag for _name, group in GROUPS for flag in group if word in flag.opts and not flag.multiple)
    return {name: 0 if flag.is_flag else flag.nargs for flag in flags for name in flag.opts}


def _part(bundle: Bundle, model: Model) -> Part:
    assert model.role != "model"
    place = bundle.place_of(model.entry)
    return Part(model.role, place.path, model.name, place.offset, place.size, model.scale)
