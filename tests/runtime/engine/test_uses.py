"""Whoever uses a model is counted until all that is done for them has ended."""

from __future__ import annotations

import threading

from runtime.engine.uses import Uses, carried_on, counted_in, note_use


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

    def work(carried: Uses | None) -> None:
        assert carried is not None
        with counted_in(carried):
            goes_on.wait(10)
            note_use(one)
        carried.let_go()

    with counted_in(uses):
        thread = threading.Thread(target=work, args=(carried_on(),))
        thread.start()
        note_use(one)
    uses.let_go()
    assert one.uses == 1
    goes_on.set()
    thread.join()
    assert one.uses == 0


def test_nobody_is_counted_outside_of_a_request() -> None:
    one = Counted()
    note_use(one)
    assert carried_on() is None
    assert one.uses == 0
