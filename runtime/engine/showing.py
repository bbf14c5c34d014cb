"""Pictures among the tokens, computed as pieces between batches: looked at in one step, put into the memory in another.

Knows that streams get their tokens between the two, and while one is looked at. Refuses to know what is done
`meanwhile`, and what a picture is. Used by the worker thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.engine.answering import Answering
from runtime.engine.backend import Generator, PoolFull, Projector
from runtime.engine.endings import Endings
from runtime.engine.errors import DecodeFailed, EngineStopped
from runtime.engine.jobs import Outbox
from runtime.engine.pieces import Piece
from runtime.engine.prefixes import Prefixes
from runtime.engine.running import Run, Running
from runtime.engine.stats import Counters


class Showing:
    """Shows `context` what stands for the pictures of those that are `running`.

    `meanwhile` computes for others than the run it is given, and says whether anybody still wants the picture of that.
    """

    def __init__(
        self,
        context: Generator,
        projector: Projector | None,
        prefixes: Prefixes,
        running: Running,
        answering: Answering,
        endings: Endings,
        outbox: Outbox,
        counters: Counters,
        meanwhile: Callable[[Run], bool],
    ) -> None:
        self._context = context
        self._projector = projector
        self._prefixes = prefixes
        self._running = running
        self._answering = answering
        self._endings = endings
        self._outbox = outbox
        self._counters = counters
        self._meanwhile = meanwhile

    def show_next(self) -> Run | None:
        """One step with the first picture that is waited for: what it shows is found out, or put into the memory.

        Returns whose picture is in the memory now, if one has come there.
        """
        run = next((run for run in self._running.runs if run.sequence.piece is not None), None)
        if run is None:
            return None
        piece = run.sequence.piece
        assert piece is not None, "it was looked for"
        projector = self._projector
        assert projector is not None, "pieces come of one"
        self._outbox.deliver(now=True)
        try:
            if not projector.is_encoded(piece):
                self._counters.encoded += projector.encode(piece, lambda: self._meanwhile(run))
                return None
            if not self._put(run, piece):
                return None
        except PoolFull:
            self._prefixes.cut(run.sequence, run.sequence.computed)  # a part of it may have found room
            self._endings.make_room()
        except EngineStopped:
            pass
        except DecodeFailed as error:
            self._endings.fail_batch((run,), error)
        else:
            self._prefixes.computed(run.sequence, list(piece.tokens))
            self._prefixes.take_checkpoint(run.sequence)
            self._answering.report(run)
            return run
        return None

    def _put(self, run: Run, piece: Piece) -> bool:
        """Put `piece` into the memory; False where nobody wants it any more. Raises what `decode_piece` does."""
        sequence, slot = run.sequence, run.slot
        place = sequence.position(sequence.computed)

        def others() -> bool:
            return self._meanwhile(run) and run in self._running.runs

        if self._context.decode_piece(slot, place, piece, sequence.scales, self._at_once(), others):
            return True
        if run in self._running.runs:
            self._prefixes.cut(sequence, sequence.computed)
        elif not self._prefixes.cache.is_running(slot):  # whoever runs there now has cut it
            self._prefixes.storage.empty(slot)
        return False

    def _at_once(self) -> int:
        """How many cells of a picture are computed until others come between: half a micro-batch where there are any.

        Theirs is a step of its own then, and nobody waits for both longer than for a micro-batch of a text.
        """
        n_ubatch = self._context.settings.n_ubatch
        return n_ubatch if len(self._running.runs) == 1 else max(n_ubatch // 2, 1)
