"""What tokens say, and how it is handed over: many at once or one by one, the text is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.backend import Model, Sampled
from runtime.engine.jobs import Generation, Outbox
from runtime.engine.mailbox import Mailbox
from runtime.engine.sequence import Sequence
from runtime.engine.types import Event, FinishReason, GenerationRequest, Probabilities, TokenEvent, TokenProbability
from runtime.engine.wording import Wording

PIECES = [b"caf", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", b"\n", b"  ", b"stop", b"<end>"]


class Pieces:
    """A vocabulary, of which the last token is a special one."""

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return b"" if token == len(PIECES) - 1 and not special else PIECES[token]


def wording(request: GenerationRequest) -> Wording:
    return Wording(request, cast(Model, Pieces()))


@given(
    st.lists(st.lists(st.integers(0, len(PIECES) - 1), min_size=1)), st.sampled_from(["", "ps", "\n  "]), st.booleans()
)
def test_the_text_is_the_same_however_tokens_come(bursts: list[list[int]], stop: str, shows: bool) -> None:
    shown = frozenset([len(PIECES) - 1]) if shows else frozenset()
    request = GenerationRequest((1,), stop=(stop,) if stop else (), shown=shown)
    at_once, one_by_one = wording(request), wording(request)
    assert at_once.can_end == one_by_one.can_end == bool(stop)
    text = "".join([at_once.push(burst) for burst in bursts]) + at_once.finish()
    assert text == "".join([one_by_one.push([t]) for burst in bursts for t in burst]) + one_by_one.finish()
    assert at_once.ending == one_by_one.ending
    assert at_once.ending in (None, FinishReason.STOP_STRING)
    if not stop:
        said = b"".join(PIECES[t] for burst in bursts for t in burst if shows or t < len(PIECES) - 1)
        assert text == said.decode("utf-8", "replace")


def test_a_text_too_far_left_ends_it() -> None:
    inside = wording(GenerationRequest((1,), n_indent=2))
    assert inside.can_end
    assert (inside.push([0, 5, 6, 0]), inside.ending, inside.has_ended_line) == ("caf\n  caf", None, True)
    assert (inside.push([5, 0]), inside.ending) == ("\n", FinishReason.INDENTATION)


def handed_over(request: GenerationRequest, work: Callable[[Outbox, Generation], None]) -> list[list[Event]]:
    """The bursts that come of what `work` puts into an outbox and delivers."""

    async def main() -> list[list[Event]]:
        mailbox = Mailbox()
        generation = Generation(Sequence(request), wording(request), mailbox, lambda _job: None)
        outbox = Outbox()
        reading = asyncio.create_task(_all_of(generation))
        await asyncio.sleep(0)
        await asyncio.to_thread(work, outbox, generation)
        bursts = await asyncio.wait_for(reading, 10)
        mailbox.close()
        return bursts

    return asyncio.run(main())


async def _all_of(generation: Generation) -> list[list[Event]]:
    return [burst async for burst in generation.bursts()]


def test_what_was_sampled_between_two_deliveries_is_one_event() -> None:
    likely = Probabilities(TokenProbability(1, 0.5), ())

    def work(outbox: Outbox, generation: Generation) -> None:
        for token in (0, 1):
            outbox.tell(generation, Sampled(token, likely))
        outbox.tell(generation, Sampled(2, likely))
        outbox.put(generation, generation.sequence.finished(FinishReason.MAX_TOKENS))
        outbox.deliver()

    (burst,) = handed_over(GenerationRequest((1,)), work)
    assert burst[0] == TokenEvent("caf\N{LATIN SMALL LETTER E WITH ACUTE}", (0, 1, 2), (likely,) * 3)
    assert len(burst) == 2


def test_half_a_character_ends_with_the_answer() -> None:
    def work(outbox: Outbox, generation: Generation) -> None:
        outbox.tell(generation, Sampled(3))
        outbox.put(generation, generation.sequence.finished(FinishReason.END_OF_TEXT))
        outbox.deliver()

    events = [event for burst in handed_over(GenerationRequest((1,)), work) for event in burst]
    assert [event.text for event in events] == ["", "\N{REPLACEMENT CHARACTER}"]


def test_where_progress_is_told_each_token_is() -> None:
    def work(outbox: Outbox, generation: Generation) -> None:
        for token in (0, 5):
            generation.sequence.append(token)
            outbox.tell(generation, Sampled(token), progress=generation.sequence.progress())
        outbox.put(generation, generation.sequence.finished(FinishReason.MAX_TOKENS))
        outbox.deliver()

    events = [event for burst in handed_over(GenerationRequest((1,)), work) for event in burst]
    told = [event for event in events if isinstance(event, TokenEvent)]
    assert [event.tokens for event in told] == [(0,), (5,)]
    assert [event.progress.usage.generated_tokens for event in told if event.progress] == [1, 2]
