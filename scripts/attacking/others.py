"""Somebody else who asks for short answers, as a process of its own: an attacker's is busy with what it sends.

`others.py PORT` asks as often as a line on standard input says, "0": until the next one, and writes a line of JSON
then: the seconds that each took, or {"problem": …}. Knows one request. Refuses to know what goes on meanwhile.
"""

from __future__ import annotations

import http.client
import json
import queue
import sys
import threading
import time

PAUSE_SECONDS = 0.02
"""Between two requests, alone and during the attack: who asks at once again finds all that it needs still at hand."""

_PATIENCE = 60.0
_BODY = json.dumps({"prompt": "Once upon", "n_predict": 8, "temperature": 0}).encode()


def short_answer(port: int) -> float:
    """Seconds that somebody waits who asks for one. Raises OSError where there is none."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("POST", "/completion", _BODY)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"somebody else is told {answer.status}: {said[:200]!r}")
    return time.monotonic() - began


def main(port: int) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin], daemon=True).start()
    while True:
        count = int(lines.get())
        times: list[float] = []
        told: object = times
        while not times or (len(times) < count if count else lines.empty()):
            try:
                times.append(short_answer(port))
            except (OSError, http.client.HTTPException) as error:
                told = {"problem": str(error) or repr(error)}
                break
            time.sleep(PAUSE_SECONDS)
        if not count:
            lines.get()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
