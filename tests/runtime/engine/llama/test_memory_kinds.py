"""What llama.cpp does with each kind of memory: the facts on which the cache of prefixes relies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.engine.backend import BatchItem
from runtime.engine.llama.states import restore_state, save_state
from runtime.engine.states import SavedSequence, StateFile
from support.architectures import Architecture
from support.pools import OTHER, TEXT, Library, Refused, goes_on


@dataclass(frozen=True)
class Facts:
    """Of a sequence of 100 tokens, unless said otherwise.

    `begins` is the first position that it still has, and `begins_later` that of one of 400 tokens. `cuts` tells
    whether its end can be dropped. A copy of its first 50 tokens has the positions `half_span`, and goes on "right",
    "wrong", or not at all: "refused".
    """

    can_shift: bool
    begins: int
    begins_later: int
    cuts: bool
    half_span: tuple[int, int]
    half: str


FACTS = {
    (Architecture.ATTENTION, True): Facts(True, 0, 0, True, (0, 49), "right"),
    (Architecture.SLIDING_WINDOW, True): Facts(True, 0, 0, True, (0, 49), "right"),
    (Architecture.SLIDING_WINDOW, False): Facts(False, 0, 144, True, (0, 49), "right"),
    (Architecture.RECURRENT, True): Facts(True, 99, 399, False, (99, 99), "refused"),
    (Architecture.HYBRID, True): Facts(True, 99, 399, False, (99, 49), "wrong"),
}
"""By architecture and `swa_full`, which makes a difference only where there is a window."""

of_each_memory = pytest.mark.parametrize(
    ("architecture", "swa_full"), FACTS, ids=[f"{one.name}{'' if full else '_SPARSE'}" for one, full in FACTS]
)


@of_each_memory
def test_what_a_memory_can_do(library: Library, architecture: Architecture, swa_full: bool) -> None:
    facts = FACTS[architecture, swa_full]
    pool = library.pool(architecture, swa_full=swa_full)
    assert pool.can_shift() is facts.can_shift
    assert pool.span(0) == (-1, -1)
    pool.fill(0, TEXT[:400])
    assert pool.span(0) == (facts.begins_later, 399)
    assert pool.cut(0, 0), "all can be dropped of any"
    assert pool.span(0) == (-1, -1)
    pool.fill(0, TEXT[:100])
    assert pool.span(0) == (facts.begins, 99)
    pool.copy(0, 1, 50)
    assert pool.span(1) == facts.half_span
    assert goes_on(library, pool, 1, TEXT[:50]) == facts.half
    assert goes_on(library, pool, 0, TEXT[:100]) == "right", "the copy did nothing to its source"


@pytest.mark.parametrize("length", [1, 50, 99, 100])
@of_each_memory
def test_a_cut_sequence_goes_on(library: Library, architecture: Architecture, swa_full: bool, length: int) -> None:
    """Where its end cannot be dropped, nothing is when that is tried."""
    pool = library.pool(architecture, swa_full=swa_full)
    pool.fill(0, TEXT[:100])
    cut = pool.cut(0, length)
    assert cut is (FACTS[architecture, swa_full].cuts or length == 100)
    left = length if cut else 100
    assert pool.span(0)[1] == left - 1
    assert goes_on(library, pool, 0, TEXT[:left]) == "right"


@of_each_memory
def test_a_whole_copy_and_its_source_go_on(library: Library, architecture: Architecture, swa_full: bool) -> None:
    """What one of them adds does not show in the others."""
    pool = library.pool(architecture, swa_full=swa_full)
    pool.fill(0, TEXT[:100])
    pool.copy(0, 1, 100)
    pool.copy(0, 2)
    assert pool.span(1) == pool.span(2) == pool.span(0)
    pool.fill(1, OTHER[:30], 100)
    assert goes_on(library, pool, 0, TEXT[:100]) == "right"
    assert goes_on(library, pool, 2, TEXT[:100]) == "right"
    assert goes_on(library, pool, 1, TEXT[:100] + OTHER[:30]) == "right"


@of_each_memory
def test_a_restored_state_goes_on(library: Library, architecture: Architecture, swa_full: bool, tmp_path: Path) -> None:
    pool = library.pool(architecture, swa_full=swa_full)
    lib = library.model(architecture).lib
    pool.fill(0, TEXT[:400])
    save_state(lib, pool.handle, bytes(32), 0, SavedSequence(TEXT[:400]), tmp_path / "state")
    assert restore_state(lib, pool.handle, bytes(32), 1, StateFile(tmp_path / "state")).tokens == TEXT[:400]
    assert goes_on(library, pool, 1, TEXT[:400]) == "right"


@of_each_memory
def test_a_batch_without_room_leaves_no_trace(library: Library, architecture: Architecture, swa_full: bool) -> None:
    pool = library.pool(architecture, swa_full=swa_full)
    for slot in range(3):
        pool.fill(slot, TEXT[:300])
    more, too_much = BatchItem(0, 300, OTHER[:10], 1), BatchItem(3, 0, OTHER[:200], 1)
    if architecture is Architecture.RECURRENT:
        pool.decode(more, too_much)  # a state is as large after any text
        return
    with pytest.raises(Refused, match="1"):
        pool.decode(more, too_much)
    assert pool.span(0)[1] == 299
    assert pool.span(3) == (-1, -1)
    assert goes_on(library, pool, 0, TEXT[:300]) == "right"


def test_a_hybrid_can_be_asked_to_go_back_some_tokens(library: Library) -> None:
    """With `n_rs_seq` states kept besides the last, once after each batch. Mamba's first version cannot."""
    pool = library.pool(Architecture.HYBRID, rollback=8)
    pool.fill(0, TEXT[:100])
    assert not pool.cut(0, 91)
    assert pool.cut(0, 92)
    assert not pool.cut(0, 91)
    assert goes_on(library, pool, 0, TEXT[:92]) == "right"
    pool = library.pool(Architecture.RECURRENT, rollback=8)
    pool.fill(0, TEXT[:100])
    assert not pool.cut(0, 99)
