"""Whether an engine's model is in memory: loaded, asleep, or being loaded again, and how many use it.

What is asleep takes no memory, and is loaded again as it was the first time. Refuses to know what is computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from runtime.engine.asleep import left_of
from runtime.engine.backend import Backend
from runtime.engine.errors import CannotWake, EngineStopped
from runtime.engine.uses import Usable
from runtime.errors import LoafError
from runtime.machine.heap import give_back


class Residence:
    """That of `owner`'s model, which `open_backend` loads each time. `look` finds out about one that sleeps at first.

    `lock` is the owner's.
    """

    def __init__(
        self,
        owner: Usable,
        open_backend: Callable[[], Backend],
        look: Callable[[], Backend] | None,
        lock: threading.Condition,
    ) -> None:
        self._owner = owner
        self._open_backend = open_backend
        self._look = look
        self._lock = lock
        self._awake: Backend | None = None
        self._left: Backend | None = None
        self.uses = 0
        self._waking: Future[None] | None = None
        self._loader: threading.Thread | None = None
        self._freed = threading.Event()
        self.is_asleep = False

    @property
    def now(self) -> Backend:
        """The backend, or what is left of it."""
        backend = self._awake
        return self.left if self.is_asleep or backend is None else backend

    @property
    def left(self) -> Backend:
        """What the backend says of itself, asleep or not."""
        assert self._left is not None, "the model has been loaded"
        return self._left

    @property
    def n_threads(self) -> int:
        """How many compute now, or did before it fell asleep."""
        return (self._awake or self.left).n_threads

    def begin(self) -> Backend:
        """Load the model for the first time, or look at it, which leaves it asleep. Raises what that does."""
        if self._look is None:
            self._awake = backend = self._open_backend()
            self._left = left_of(backend, self._owner)
            return backend
        looked_at = self._look()
        self._left = left_of(looked_at, self._owner)
        looked_at.close()
        self._freed.set()
        self.is_asleep = True
        return self._left

    def begin_use(self) -> None:
        with self._lock:
            self.uses += 1

    def end_use(self) -> None:
        with self._lock:
            self.uses -= 1

    def fall_asleep(self) -> bool:
        """Whether nobody uses it: from now on it counts as asleep, and is to be unloaded. Called with the lock."""
        if self.is_asleep or self._awake is None or self.uses:
            return False
        self._freed.clear()
        self.is_asleep = True
        return True

    def stay_awake(self) -> None:
        """It has turned out to be used."""
        with self._lock:
            self.is_asleep = False
            self._freed.set()

    def unload(self) -> None:
        """Free what is asleep, in the thread that computes."""
        backend, self._awake = self._awake, None
        assert backend is not None, "it is unloaded once"
        backend.close()
        give_back()
        self._freed.set()

    def wake(self, settle_in: Callable[[Backend], None]) -> Future[None]:
        """Load it again, in a thread of its own; `settle_in` takes the backend over, or raises. Several may wait.

        Fails with `CannotWake`, `EngineStopped`.
        """
        with self._lock:
            if self._waking is not None:
                return self._waking
            awake: Future[None] = Future()
            awake.set_running_or_notify_cancel()
            if not self.is_asleep:
                awake.set_result(None)
                return awake
            self._waking = awake
            # A daemon, as the engine's own: nothing interrupts a driver that does not answer.
            self._loader = threading.Thread(target=self._load_again, args=(awake, settle_in), name="wake", daemon=True)
            self._loader.start()
            return awake

    def interrupt(self) -> None:
        """End what is being computed, if anything is."""
        backend = self._awake
        if backend is not None:
            backend.interrupt()

    def close(self, timeout: float | None = None) -> None:
        """Free it, awake or being loaded, when nobody computes any more."""
        loader = self._loader
        if loader is not None:
            loader.join(timeout)
            if loader.is_alive():
                return
        if self._awake is not None:
            self._awake.close()

    def _load_again(self, awake: Future[None], settle_in: Callable[[Backend], None]) -> None:
        self._freed.wait()
        problem: Exception | None = None
        try:
            if self.is_asleep:  # else it has stayed awake
                self._bring_in(settle_in)
        except EngineStopped as error:
            problem = error
        except LoafError as error:
            problem = CannotWake(error.message)
        except OSError as error:
            problem = CannotWake(f"{error.filename or 'system'}: {error.strerror or error}")
        except Exception as bug:
            problem = bug
        with self._lock:
            self._waking = None
            if problem is None:
                self.is_asleep = False
        if problem is None:
            awake.set_result(None)
        else:
            awake.set_exception(problem)

    def _bring_in(self, settle_in: Callable[[Backend], None]) -> None:
        backend = self._open_backend()
        try:
            settle_in(backend)
        except BaseException:
            backend.close()
            raise
        self._awake, self._left = backend, left_of(backend, self._owner)
