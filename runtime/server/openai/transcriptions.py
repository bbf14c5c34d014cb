"""`/v1/audio/transcriptions` and `/v1/audio/translations`: what is said in a sound, as text.

A model that hears is asked for it in a conversation of one turn: here is what it is asked, the rest is a chat. No model
of that kind tells when a word is said, so there are no times, and none are made up.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from runtime.chat.answer import ContentDelta, Delta
from runtime.chat.conversation import Conversation
from runtime.chat.job import ChatFinished, ChatJob, chat_job
from runtime.chat.messages import Message
from runtime.engine.types import Probabilities
from runtime.media.given import Gathering, joined
from runtime.media.sounds import decode_sound
from runtime.server.beside import beside_the_loop
from runtime.server.chatting import ChatAnswer, answer_chat
from runtime.server.dialect import Failure
from runtime.server.generating import GenerationFields, generation_request
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.multipart import FormPart, form_parts
from runtime.server.openai.errors import error_object
from runtime.server.refusals import BadRequest
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.server.stream import EVENTS_UNTIL_DONE
from runtime.settings import Settings

_TRANSCRIBE = "Transcribe audio to text"
"""As llama-server asks (`common_chat_get_asr_prompt` in llama.cpp's common/chat.cpp)."""

_TRANSLATE = "Translate the speech in this audio into English text"

_File = Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]


class TranscriptionRequest(msgspec.Struct, kw_only=True):
    """The form of `/v1/audio/transcriptions`. `file` is WAV, MP3, FLAC, Ogg Vorbis or Opus, whatever it is called.

    `prompt` is added to what the model is asked. There are no times, so `srt`, `vtt` and `timestamp_granularities[]`
    are refused, and `verbose_json` has no segments. Of `json` there is a `stream`.
    """

    file: _File
    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stream: bool | None = None
    timestamp_granularities: list[str] | None = msgspec.field(default=None, name="timestamp_granularities[]")


class TranslationRequest(msgspec.Struct, kw_only=True):
    """The form of `/v1/audio/translations`, as that of transcriptions; what is said comes back in English."""

    file: _File
    model: str | None = None
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


async def transcriptions(request: web.Request) -> web.StreamResponse:
    """Write down what is said in a sound."""
    return await _answer(request, "transcribe")


async def translations(request: web.Request) -> web.StreamResponse:
    """Write down in English what is said in a sound."""
    return await _answer(request, "translate")


class _Asked(msgspec.Struct, frozen=True):
    """What is to be done with the sound in `file`, and the other fields of the form."""

    task: Literal["transcribe", "translate"]
    file: bytes
    fields: TranscriptionRequest


class _Wanted(msgspec.Struct, frozen=True):
    """The job, and how long the sound takes in seconds, where that is told; 0 where nobody asks."""

    hosted: HostedModel
    asked: _Asked
    job: ChatJob
    seconds: float


async def _answer(request: web.Request, task: Literal["transcribe", "translate"]) -> web.StreamResponse:
    body = await request.read()
    content_type = request.headers.get("Content-Type", "")
    settings = request.app[SETTINGS]

    def make() -> _Wanted:
        asked = _asked(task, form_parts(content_type, body))
        hosted = request.app[MODELS].find_listener(asked.fields.model)
        return _wanted(asked, hosted, settings)

    wanted = await beside_the_loop(request, make, takes_long=True)
    fields, writer = wanted.asked.fields, _Writer(wanted)
    response = await answer_chat(request, wanted.hosted, wanted.job, writer, streams=bool(fields.stream))
    if fields.response_format == "text" and isinstance(response, web.Response):
        return web.Response(text=f"{writer.text}\n", content_type="text/plain", charset="utf-8")
    return response


def _asked(task: Literal["transcribe", "translate"], parts: Sequence[FormPart]) -> _Asked:
    """Raises `BadRequest`."""
    file: bytes | None = None
    given: dict[str, Any] = {}
    for part in parts:
        if part.name == "file":
            file = part.content
        elif part.name.endswith("[]"):
            given.setdefault(part.name, []).append(part.text)
        elif part.text:
            given[part.name] = part.text
    if file is None:
        raise BadRequest("file: is missing", "file")
    try:
        fields = msgspec.convert({**given, "file": ""}, TranscriptionRequest, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`")
        raise BadRequest(f"{field}: {message}" if field else message, field) from error
    _check(fields)
    return _Asked(task, file, fields)


def _check(fields: TranscriptionRequest) -> None:
    """Raises `BadRequest` for what cannot be had."""
    form = fields.response_format or "json"
    if form in ("srt", "vtt") or fields.timestamp_granularities:
        field = "response_format" if form in ("srt", "vtt") else "timestamp_granularities[]"
        reason = f"{field}: models that hear do not say when"
        raise BadRequest(reason, field, "Ask for json, text or verbose_json, without granularities.")
    if form not in ("json", "text", "verbose_json"):
        raise BadRequest(f"response_format: must be json, text or verbose_json, not {form!r}", "response_format")
    if fields.stream and form != "json":
        raise BadRequest("stream: must be false, unless response_format is json", "stream")


def _wanted(asked: _Asked, hosted: HostedModel, settings: Settings) -> _Wanted:
    fields = asked.fields
    media = Gathering()
    mark = media.add("file", base64.b64encode(asked.file).decode(), "audio", is_now=True)
    conversation = Conversation((Message("user", joined((_request(asked), mark))),), thinks=False, media=media.given)
    more = GenerationFields(temperature=fields.temperature or 0.0, seed=fields.seed)
    sampling = resolve_sampling(more, settings.sampling, hosted.loaded())
    max_tokens = token_limit(fields.max_tokens, settings.max_tokens, "max_tokens")
    job = chat_job(hosted, conversation, generation_request(more, (), max_tokens, sampling, hosted.engine))
    seconds = 0.0
    if fields.response_format == "verbose_json":
        projector = hosted.engine.backend().projector
        assert projector is not None, "the sound has become a part of the prompt"
        seconds = len(decode_sound("file", asked.file, projector.sample_rate).data) / 4 / projector.sample_rate
    return _Wanted(hosted, asked, job, seconds)


def _request(asked: _Asked) -> str:
    """What the model is asked."""
    text = _TRANSCRIBE if asked.task == "transcribe" else _TRANSLATE
    if asked.fields.language:
        text += f" (language: {asked.fields.language})"
    return f"{text}\n{asked.fields.prompt}" if asked.fields.prompt else text


class _Writer:
    """Writes a transcription, whole or as it comes."""

    framing = EVENTS_UNTIL_DONE

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """So far."""
        return "".join(self._pieces).strip()

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:  # noqa: ARG002
        for delta in deltas:
            if isinstance(delta, ContentDelta) and delta.text:
                self._pieces.append(delta.text)
                yield {"type": "transcript.text.delta", "delta": delta.text}

    def last(self, index: int, event: ChatFinished) -> Iterable[Any]:  # noqa: ARG002
        return ({"type": "transcript.text.done", "text": self.text, "usage": self._usage(event)},)

    def closing(self, finished: Sequence[ChatFinished]) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        (one,) = answers
        self._pieces.append(one.content)
        if self._wanted.asked.fields.response_format != "verbose_json":
            return {"text": self.text, "usage": self._usage(one.finished)}
        task, language = self._wanted.asked.task, self._wanted.asked.fields.language
        return {
            "task": task,
            "language": "english" if task == "translate" else language or "unknown",
            "duration": self._wanted.seconds,
            "text": self.text,
            "usage": {"type": "duration", "seconds": self._wanted.seconds},
        }

    def _usage(self, finished: ChatFinished) -> dict[str, Any]:
        heard = sum(len(one.piece.tokens) for one in self._wanted.job.prepared.pieces)
        usage = finished.usage
        return {
            "type": "tokens",
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.generated_tokens,
            "total_tokens": usage.prompt_tokens + usage.generated_tokens,
            "input_token_details": {"audio_tokens": heard, "text_tokens": usage.prompt_tokens - heard},
        }
