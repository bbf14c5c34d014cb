"""What llama.cpp does with a sliding window: whose cells it takes, and until when a prefix goes on."""

from __future__ import annotations

import pytest

from runtime.engine.backend import BatchItem
from support.architectures import WINDOW, Architecture
from support.pools import MICRO_BATCH, OTHER, SLOTS, TEXT, Library, Refused, goes_on


@pytest.mark.parametrize("by_copy", [False, True], ids=["cut", "copied"])
def test_a_prefix_goes_on_while_its_window_is_there(library: Library, by_copy: bool) -> None:
    """The next token, at position `length`, sees itself and `WINDOW` - 1 before it (`is_masked_swa`).

    So the first position must be `length` - `WINDOW` + 1 at most, or 0. Else the library goes on, wrongly, and says
    nothing. llama-server asks for two positions more than that (server-context.cpp, `pos_min_thold`).
    """
    pool = library.pool(Architecture.SLIDING_WINDOW, swa_full=False)
    pool.fill(0, TEXT[:400])
    first, _last = pool.span(0)
    assert first > WINDOW
    for length in range(first - 1, first + WINDOW + 3):
        assert pool.cut(0, 0)
        assert pool.cut(1, 0)
        pool.fill(0, TEXT[:400])
        assert pool.span(0) == (first, 399)
        if by_copy:
            pool.copy(0, 1, length)
        else:
            assert pool.cut(0, length)
        went_on = goes_on(library, pool, int(by_copy), TEXT[:length])
        assert went_on == ("right" if first <= max(0, length - WINDOW + 1) else "wrong"), length - first


def test_a_window_s_cells_are_taken_while_others_are_free(library: Library) -> None:
    """Even with `swa_full`: a search for cells takes those that no token to come can see, as well as empty ones."""
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(0, TEXT[:100])
    pool.fill(1, TEXT[:100])
    pool.cut(0, 50)  # the search goes on from here
    pool.fill(1, TEXT[100:250], 100)
    assert pool.span(0) == (0, 49)
    assert pool.span(1) == (100, 249), "and 724 of 1,024 cells are empty"
    assert goes_on(library, pool, 1, TEXT[:250]) == "right"


def test_cells_that_are_shared_are_not_taken(library: Library) -> None:
    """Which protects them where all cells are kept, and fills a smaller memory of windows to the brim."""
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(0, TEXT[:100])
    pool.fill(1, TEXT[:100])
    pool.copy(1, 2)
    pool.cut(0, 50)
    pool.fill(1, TEXT[100:250], 100)
    assert pool.span(1) == (0, 249)
    sparse = library.pool(Architecture.SLIDING_WINDOW, swa_full=False)
    sparse.fill(0, TEXT[:246])
    sparse.copy(0, 1)
    with pytest.raises(Refused, match="1"):
        sparse.fill(1, TEXT[246:260], 246)
    sparse.cut(0, 0)
    sparse.fill(1, TEXT[246:260], 246)


def test_a_rejected_guess_may_have_cost_the_window(library: Library) -> None:
    """A prompt in the same batch takes cells that the tokens after the guess would not see, but those before it do.

    After the guess has been dropped, the first position tells.
    """
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(2, TEXT[:50])
    pool.fill(0, TEXT[:100])
    pool.cut(2, 0)
    pool.decode(BatchItem(0, 100, OTHER[:9], 1), BatchItem(1, 0, TEXT[100:300], 1))
    assert pool.cut(0, 101)
    first, last = pool.span(0)
    assert last == 100
    assert first > 101 - WINDOW + 1
    assert goes_on(library, pool, 0, TEXT[:100] + OTHER[:1]) == "wrong"


def test_the_first_micro_batch_misses_what_the_last_has_no_room_for(library: Library) -> None:
    """Nothing is said of it. So the engine's batches have one (`Context`)."""
    pool = library.pool(Architecture.SLIDING_WINDOW, swa_full=False)
    for start in range(0, 60, 10):  # cells of all lie between each other's
        for slot in range(SLOTS):
            pool.fill(slot, TEXT[start : start + 10], start)
    items = [BatchItem(0, 60, TEXT[60:220], 1), *(BatchItem(slot, 60, TEXT[60:90], 1) for slot in range(1, SLOTS))]
    assert sum(len(item.tokens) for item in items) > 3 * MICRO_BATCH
    pool.decode(*items)
    assert goes_on(library, pool, 1, TEXT[:90]) == "wrong"
    for slot in range(SLOTS):
        pool.cut(slot, 0)
    for slot in range(SLOTS):
        pool.fill(slot, TEXT[:60])
    for item in items:
        pool.fill(item.slot, item.tokens, item.position)
    assert goes_on(library, pool, 1, TEXT[:90]) == "right"
