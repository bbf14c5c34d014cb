"""Which model a name means, where several could be meant."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtime.server.models import HostedModel, Models
from runtime.server.refusals import UnknownModel
from runtime.settings import Settings
from support.fakes import FakeContext


@pytest.mark.parametrize(("name", "status"), [("one", 200), ("two:latest", 200), ("gpt-4", 404), (None, 200)])
def test_a_name_that_nobody_has_is_unknown_where_several_can(name: str | None, status: int) -> None:
    def hosted(name: str, *, generates: bool) -> HostedModel:
        said = FakeContext(generates=generates)
        engine = SimpleNamespace(backend=lambda: said, described=lambda: said)
        return HostedModel(SimpleNamespace(name=name, engine=engine), Settings())  # type: ignore[arg-type]

    models = Models([hosted("one", generates=True), hosted("two", generates=True), hosted("three", generates=False)])
    if status == 200:
        assert models.find_generator(name).name == (name or "one").removesuffix(":latest")
    else:
        with pytest.raises(UnknownModel):
            models.find_generator(name)


def test_the_tag_that_ollama_s_clients_add_is_no_part_of_a_name() -> None:
    """Whichever side says it: an alias may have it, and codex asks without."""
    served = SimpleNamespace(name="weights", engine=None)
    models = Models([HostedModel(served, Settings(aliases=("demo:latest", "other")))])  # type: ignore[arg-type]
    assert [models.named(name).name for name in ("demo", "demo:latest", "other:latest", "weights")] == [
        "demo:latest"
    ] * 4
    with pytest.raises(UnknownModel):
        models.named("demo:7b")


def test_a_name_that_is_given_twice_is_listed_once() -> None:
    """A script may say by `--alias` what the file is called anyway."""
    served = SimpleNamespace(name="demo", engine=None)
    hosted = HostedModel(served, Settings(aliases=("demo", "other", "demo")))  # type: ignore[arg-type]
    assert hosted.names == ("demo", "other")
