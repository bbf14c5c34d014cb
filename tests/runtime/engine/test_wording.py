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


@given(st.lists(st.integers(0, len(PIECES) - 1)), st.booleans())
def test_tokens_say_what_they_stand_for(tokens: list[int], shows: bool) -> None:
    special = len(PIECES) - 1
    one = wording(GenerationRequest((1,), shown=frozenset([special]) if shows else frozenset()))
    text = "".join([one.push(token) for token in tokens]) + one.finish()
    assert text == b"".join(PIECES[t] for t in tokens if shows or t < special).decode("utf-8", "replace")
    assert (one.can_end, one.ending) == (False, None)


def test_a_stop_string_ends_it() -> None:
    one = wording(GenerationRequest((1,), stop=("", "ps")))
    assert one.can_end
    assert [one.push(token) for token in (0, 7)] == ["caf", "sto"]
    assert one.ending is None
    assert (one.finish(), one.ending) == ("p", None)
    assert not wording(GenerationRequest((1,), stop=("",))).can_end


def test_a_text_too_far_left_ends_it() -> None:
    inside = wording(GenerationRequest((1,), n_indent=2))
    assert inside.can_end
    assert "".join(map(inside.push, [0, 5, 6, 0])) == "caf\n  caf"
    assert (inside.ending, inside.has_ended_line) == (None, True)
    assert "".join(map(inside.push, [5, 0])) == "\n"
    assert inside.ending is FinishReason.INDENTATION


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


def test_what_was_sampled_between_two_deliveries_comes_at_once() -> None:
    likely = Probabilities(TokenProbability(1, 0.5), ())

    def work(outbox: Outbox, generation: Generation) -> None:
        for token in (0, 1):
            outbox.tell(generation, Sampled(token, likely))
        outbox.tell(generation, Sampled(2, likely))
        outbox.put(generation, generation.sequence.finished(FinishReason.MAX_TOKENS))
        outbox.deliver()

    (burst,) = handed_over(GenerationRequest((1,)), work)
    texts = ("caf", "", "\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert burst[:3] == [TokenEvent(text, (token,), (likely,)) for token, text in enumerate(texts)]
    assert len(burst) == 4


def test_half_a_character_ends_with_the_answer() -> None:
    def work(outbox: Outbox, generation: Generation) -> None:
        outbox.tell(generation, Sampled(3))
        outbox.put(generation, generation.sequence.finished(FinishReason.END_OF_TEXT))
        outbox.deliver()

    events = [event for burst in handed_over(GenerationRequest((1,)), work) for event in burst]
    assert [event.text for event in events] == ["", "\N{REPLACEMENT CHARACTER}"]


def test_each_token_has_its_progress() -> None:
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
