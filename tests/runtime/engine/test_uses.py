"""Whoever uses a model is counted until all that is done for them has ended."""

from __future__ import annotations

import threading

from runtime.engine.uses import Carried, Uses, counted_in, note_use
from support.waiting import wait_until


class Counted:
    uses = 0

    def begin_use(self) -> None:
        self.uses += 1

    def end_use(self) -> None:
        self.uses -= 1


def test_a_request_uses_an_engine_once_until_it_ends() -> None:
    one, other, ends = Counted(), Counted(), []
    uses = Uses(lambda: ends.append(one.uses))
    with counted_in(uses):
        note_use(one)
        note_use(one)
    assert (one.uses, other.uses) == (1, 0)
    assert uses.used == {one}
    uses.let_go()
    assert (one.uses, ends) == (0, [0])


def test_a_thread_that_outlives_its_request_goes_on_using_it() -> None:
    one, goes_on = Counted(), threading.Event()
    uses = Uses()

    def work() -> None:
        goes_on.wait(10)
        note_use(one)

    with counted_in(uses):
        carried = Carried(work)
        thread = threading.Thread(target=carried)
        thread.start()
        note_use(one)
    wait_until(lambda: carried.has_begun)
    carried.leave()
    uses.let_go()
    assert one.uses == 1
    goes_on.set()
    thread.join()
    assert one.uses == 0


def test_a_thread_that_never_begins_holds_nothing() -> None:
    one, ends = Counted(), []
    uses = Uses(lambda: ends.append("ended"))
    with counted_in(uses):
        note_use(one)
        carried = Carried(lambda: None)
    uses.let_go()
    assert (one.uses, ends) == (1, [])
    carried.leave()
    carried.leave()
    assert (one.uses, ends) == (0, ["ended"])
    uses.add(one)
    assert one.uses == 0, "nobody would end that"


def test_nobody_is_counted_outside_of_a_request() -> None:
    one = Counted()
    note_use(one)
    assert Carried(lambda: 3)() == 3
    assert one.uses == 0
