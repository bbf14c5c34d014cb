"""A thousand connections, of which fifty ask: those must not notice the others, nor anything be left of them.

Knows numbers of clients. Refuses to know what is asked.
"""

from __future__ import annotations

import random
import resource
import statistics
import threading
import time
from contextlib import suppress

from attack import Attack
from others import short_answer
from target import Target

IDLE, SLOW, ASKING = 900, 50, 50
_ROUNDS = 3
_MOST = 1.2
"""Times as long as without the others, of the median."""

_SLOWLY = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"
_FILES = 4096


def _asked(target: Target) -> list[float]:
    """Seconds that each of those who ask has waited, each time."""
    times: list[float] = []

    def ask() -> None:
        for _ in range(_ROUNDS):
            times.append(short_answer(target.port))

    threads = [threading.Thread(target=ask) for _ in range(ASKING)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if len(times) < ASKING * _ROUNDS:
        raise OSError(f"{ASKING * _ROUNDS - len(times)} of those who ask are not answered")
    return times


def _crowd(target: Target) -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(_FILES, hard)), hard))
    alone = _asked(target)
    crowd = [target.connected() for _ in range(IDLE + SLOW)]
    slow, ends = crowd[IDLE:], threading.Event()

    def drip() -> None:
        for one in slow:
            one.sendall(_SLOWLY)
        while not ends.wait(1):
            for one in slow:
                with suppress(OSError):
                    one.send(b" ")
            with suppress(OSError):
                random.choice(crowd).close()  # some are killed meanwhile

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        among = _asked(target)
    finally:
        ends.set()
        dripping.join()
        for one in crowd:
            one.close()
    ratio = statistics.median(among) / statistics.median(alone)
    time.sleep(0.5)
    if busy := [slot for slot in target.slots_running() if slot]:
        return f"{len(busy)} slots still run"
    return "" if ratio <= _MOST else f"they wait {ratio:.2f} times as long"


ATTACKS = (Attack(f"{IDLE} who are silent and {SLOW} who are slow, beside {ASKING} who ask", _crowd),)
