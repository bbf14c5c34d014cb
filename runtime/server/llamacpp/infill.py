"""`/infill`: what belongs between two pieces of code, for models that were trained to fill gaps.

The prompt is llama-server's (`format_prompt_infill`, server-common.cpp), the pattern of Qwen2.5-Coder's report
(arXiv 2409.12186): files for context, then the prefix, the suffix, and the middle to be written.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from runtime.engine.backend import Model
from runtime.engine.facts import InfillTokens
from runtime.engine.pieces import Prompt
from runtime.server.beside import beside_the_loop
from runtime.server.json import decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.llamacpp.completion import Asked, CompletionFields, answer_asked, asked_for
from runtime.server.prompts import Mixed, mixed_tokens
from runtime.server.refusals import CannotInfill

_REPOSITORY = "myproject\n"
_FILE = "filename\n"
"""llama-server's names, which models have seen: requests bring none for the file that is written."""

_SNIPPET = "\n\n--- snippet ---\n\n"
"""What stands before a piece of context where the model has no token for it."""


_MOST_READ = 256 * 1024
"""Characters of a file next to the gap, or of one for context, that are looked at: more than there is room for."""


class ContextFile(msgspec.Struct):
    """A file, or a piece of one, that may help."""

    text: str
    filename: str = "tmp"


class InfillRequest(CompletionFields, kw_only=True):
    """The body of `/infill`; `prompt` is the line that is written, as far as it goes: the end of the prefix."""

    input_prefix: Mixed
    input_suffix: Mixed
    input_extra: list[ContextFile] | None = None
    prompt: str | None = None


class Room(msgspec.Struct, frozen=True):
    """Tokens that the parts of a prompt may have: the code around the gap, and the files before it."""

    code: int
    context: int


async def infill(request: web.Request) -> web.StreamResponse:
    """Fill the gap."""
    body = await decode(request, InfillRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    generator = hosted.engine.generator()
    model, settings = hosted.loaded(), request.app[SETTINGS]
    marks = model.facts.infill
    if marks is None:
        raise CannotInfill
    room = room_of(generator.n_ctx, generator.settings.n_batch, body.n_predict or 0)

    def make() -> Asked:
        return asked_for(body, (Prompt(infill_prompt(body, model, marks, room)),), hosted, settings)

    asked = await beside_the_loop(request, make, takes_long=body.json_schema is not None)
    return await answer_asked(request, body, hosted, asked)


def room_of(n_ctx: int, n_batch: int, n_predict: int) -> Room:
    """A batch for the code, as in llama-server, and the rest for the files, but for what is to be generated.

    Unlike there a quarter of the context is always left: else long code is answered with an error.
    """
    code = min(n_batch, n_ctx // 2)
    return Room(code, max(n_ctx - code - max(2 * n_predict, n_ctx // 4), 0))


def infill_prompt(body: InfillRequest, model: Model, marks: InfillTokens, room: Room) -> tuple[int, ...]:
    """The whole prompt. Of what is too long the code next to the gap stays, and the last of the context.

    Three quarters of the code are for the prefix, the rest for the suffix and the line that is written.
    Raises `BadRequest`.
    """
    line = _plain(body.prompt or "", model)
    before = body.input_prefix[-_MOST_READ:]
    prefix = mixed_tokens(before, model, "input_prefix", add_special=False, parse_special=False)
    after = body.input_suffix[:_MOST_READ]
    suffix = mixed_tokens(after, model, "input_suffix", add_special=False, parse_special=False)
    context = _context(body.input_extra or [], room.context, model, marks)
    quarter = room.code // 4
    gap = marks.prompt((*_last(prefix, 3 * quarter), *line), suffix[: max(quarter - 2 - len(line), 0)])
    return (*_last(context, room.context), *gap)


def _context(files: list[ContextFile], room: int, model: Model, marks: InfillTokens) -> tuple[int, ...]:
    """At least the last `room` tokens of it: files before those are not looked at."""
    parts = [_file_head(_FILE, "", model, marks)]
    for file in reversed(files):
        if sum(map(len, parts)) >= room:
            break
        parts.append(_plain(file.text[-_MOST_READ:], model))
        parts.append(_file_head(f"{file.filename}\n", _SNIPPET, model, marks))
    if marks.repository is not None:
        parts.append((marks.repository, *_plain(_REPOSITORY, model)))
    return tuple(token for part in reversed(parts) for token in part)


def _file_head(name: str, otherwise: str, model: Model, marks: InfillTokens) -> tuple[int, ...]:
    """The mark of a file with its name; `otherwise` where the model has no such mark."""
    return _plain(otherwise, model) if marks.file is None else (marks.file, *_plain(name, model))


def _plain(text: str, model: Model) -> tuple[int, ...]:
    return model.tokenize(text, add_special=False, parse_special=False)


def _last(tokens: tuple[int, ...], n: int) -> tuple[int, ...]:
    return tokens[max(len(tokens) - n, 0) :]
