"""What scripts/setup installs, and when it does so again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundler.errors import PackagesUnreachable
from bundler.freeze import develop
from bundler.progress import SILENCE

pytestmark = pytest.mark.usefixtures("cache_folder")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been installed so far. "fails" in it: the next is not."""
    done: list[str] = []

    def environment(folder: Path, _log: Path, *, with_pip: bool) -> Path:
        assert with_pip, "which makes the other environments"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (folder / "lib" / version / "site-packages").mkdir(parents=True, exist_ok=True)
        return folder / "bin" / "python"

    def install(_python: Path, _packages: list[str], *, what: str, **_options: object) -> None:
        if "fails" in done:
            done.remove("fails")
            raise PackagesUnreachable(what)
        done.append(what)

    monkeypatch.setattr(develop, "new_environment", environment)
    monkeypatch.setattr(develop, "install", install)
    monkeypatch.setattr(develop, "pins", lambda _extra, _site_packages: ("click==8",))
    return done


def test_what_is_there_is_not_installed_again(
    installed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(develop, "CHECKOUT", checkout)
    for _ in range(2):
        develop.install_loaf(tmp_path / ".venv", SILENCE)
        assert installed == ["loaf", "what loaf needs"]
    (checkout / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    develop.install_loaf(tmp_path / ".venv", SILENCE)
    assert installed == ["loaf", "what loaf needs"] * 2


def test_what_was_interrupted_is_not_taken_for_done(installed: list[str], tmp_path: Path) -> None:
    installed.append("fails")
    with pytest.raises(PackagesUnreachable):
        develop.install_loaf(tmp_path / ".venv", SILENCE)
    develop.install_loaf(tmp_path / ".venv", SILENCE)
    assert installed == ["loaf", "what loaf needs"]


def test_the_demo_needs_neither_tests_nor_checks(tmp_path: Path) -> None:
    """Nor llama.cpp beside the frozen one: whoever asks for more names it."""
    scripts = develop.CHECKOUT / "scripts"
    asked = {script: (scripts / script).read_text() for script in ("demo", "test", "check")}
    assert "scripts/setup\n" in asked["demo"]
    assert "scripts/setup tests\n" in asked["test"]
    assert "scripts/setup checks\n" in asked["check"]
    assert develop.main(["bogus", str(tmp_path)]) == 1
