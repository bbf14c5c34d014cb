"""Several models in a chat that nothing is served beside: one is loaded at a time, whichever is spoken with."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.console.errors import NoSuchWriter
from runtime.console.models import ChatModels
from runtime.engine.engine import Engine
from runtime.engine.errors import CannotGenerate, EngineError, ModelLoadFailed
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.settings import ChatSettings, Settings
from support.bundles import DEMO_GGUF, clean_environment, loaf
from support.fakes import FakeContext
from support.speakers import Speaker, chat
from support.terminals import CTRL_D, READY, Terminal

MOON = "Who was the first man on the moon?"
ALONE = Settings(serves=False)


class Shelf:
    """Models by their names, and which of them are in memory, as soon as they are, one after the other."""

    def __init__(self, **made: Callable[[], FakeContext]) -> None:
        self.opened: list[tuple[str, FakeContext]] = []
        self.served = [self._served(name, make) for name, make in made.items()]

    def loaded(self) -> list[str]:
        return [name for name, context in self.opened if not context.closed]

    def _served(self, name: str, make: Callable[[], FakeContext]) -> ServedModel:
        def open_context() -> FakeContext:
            context = make()
            self.opened.append((name, context))
            return context

        engine = Engine(open_context)  # type: ignore[arg-type]
        return ServedModel(name, Weights(Path(f"{name}.gguf")), 0, "", engine, Loading())


def broken() -> FakeContext:
    raise ModelLoadFailed(Path("c.gguf"), "it is broken")


def gone() -> FakeContext:
    raise FileNotFoundError(2, "No such file or directory", "d.gguf")


def test_one_is_loaded_at_a_time_and_one_that_fails_leaves_the_one_before() -> None:
    shelf = Shelf(
        a=FakeContext, b=FakeContext, broken=broken, gone=gone, mute=lambda: FakeContext(generates=False)
    )  # fmt: skip

    async def main() -> None:
        shelf.served[0].engine.start()
        await asyncio.wrap_future(shelf.served[0].engine.ready)
        models = ChatModels(shelf.served, ALONE)
        assert (models.spoken_with.name, shelf.loaded()) == ("a", ["a"])
        for name in ("b", "a", "b"):
            await models.speak_with(name)
            assert (models.spoken_with.name, shelf.loaded()) == (name, [name])
            assert [one.name for one in models.others] == [one.name for one in shelf.served if one.name != name]
        failures: list[tuple[str, type[Exception]]] = [
            ("broken", EngineError), ("broken", EngineError), ("gone", OSError), ("mute", CannotGenerate),
            ("none", NoSuchWriter),
        ]  # fmt: skip
        for name, error in failures:
            with pytest.raises(error):
                await models.speak_with(name)
            assert (models.spoken_with.name, shelf.loaded()) == ("b", ["b"]), name
        assert models.spoken_with.engine.generator().n_ctx == 100

    try:
        asyncio.run(main())
    finally:
        for one in shelf.served:
            one.engine.stop()
            one.engine.join(10)
    assert shelf.loaded() == []


def test_what_is_said_of_the_first_model_is_not_said_of_another() -> None:
    """A template in the file, or by a flag, is the first one's."""
    first, second = Speaker("yes"), Speaker("yes")
    settings = Settings(serves=False, chat=ChatSettings(template="mine {{ messages[-1].content }}"))
    said = chat(first, "hi", "/model another", "hi", "/model fake", "ho", settings=settings, another=second)
    assert "model: another; others: fake" in said
    assert first.asked == ["mine hi", "mine ho"]
    assert "mine" not in second.asked[0]


# -- in a file of its own --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two models that write text, the second of which is demo's twin, and one that does not."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copy(DEMO_GGUF, folder / "twin.gguf")
    loaf("build", "demo", "--also", f"twin={folder / 'twin.gguf'}", "-o", str(folder / "two.loaf"), check=True)
    return folder / "two.loaf"


@pytest.fixture
def talk(two: Path, warm_cache: Path) -> Iterator[Terminal]:
    terminal = Terminal([two, "--chat", "--temp", "0"], clean_environment(warm_cache, TERM="xterm-256color"))
    terminal.until(READY)
    yield terminal
    terminal.close()


def test_the_chat_goes_on_with_another_model_of_the_file(talk: Terminal) -> None:
    assert "model: demo; others: twin" in talk.ask("/model")
    assert "Neil Armstrong" in talk.ask(MOON)
    assert "model: twin; others: demo" in talk.ask("/model twin")
    assert "context 0 of 2,048 tokens" in talk.ask("/stats")
    assert "Neil Armstrong" in talk.ask("/retry")
    assert "there is no model third" in talk.ask("/model third")
    assert "model: demo; others: twin" in talk.ask("/model demo")
    assert "Neil Armstrong" in talk.ask("/retry")
    talk.type(CTRL_D)
    assert talk.exit_code() == 0
    assert talk.is_as_before()


def test_a_flag_names_the_model_that_is_meant(
    two: Path, tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    said = run(two, "-m", "twin", "-p", MOON, "--temp", "0")
    assert "Neil Armstrong" in said.stdout, said.stderr
    assert "twin is llama" in (explained := run(two, "-m", "twin", "--explain").stdout)
    assert "demo is " not in explained
    said = run(two, "-m", "third", "-p", "x")
    assert said.returncode == 1
    assert "third is neither a file nor a model in this one\nInside are demo, twin: -m twin names" in said.stderr
    (tmp_path / "twin").write_text("no model")
    assert run(two, "-m", "twin", "-p", "x", cwd=tmp_path).returncode == 1, "a file of this name is meant first"
    assert "No such file" in run(two, "-m", "third.gguf", "-p", "x").stderr
