"""What programs that we start get of the environment, and what this one does when it begins anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.machine import program

HUGE_PAGES = "glibc.malloc.hugetlb=1"
OURS = {"LD_LIBRARY_PATH": "/core/_internal", "GLIBC_TUNABLES": HUGE_PAGES, "_PYI_ARCHIVE_FILE": "/core/loaf-runtime"}

CASES = {
    "nothing of the user's": (OURS, {}),
    "a library path": (OURS | {"LD_LIBRARY_PATH_ORIG": "/users"}, {"LD_LIBRARY_PATH": "/users"}),
    "an empty library path": (OURS | {"LD_LIBRARY_PATH_ORIG": ""}, {}),
    "tunables": (OURS | {"GLIBC_TUNABLES": "glibc.rtld.x=1"}, {"GLIBC_TUNABLES": "glibc.rtld.x=1"}),
    "tunables and ours": (OURS | {"GLIBC_TUNABLES": f"{HUGE_PAGES}:x=1"}, {"GLIBC_TUNABLES": f"{HUGE_PAGES}:x=1"}),
    "variables like ours": (OURS | {"PYI": "1", "LD_LIBRARY": "x"}, {"PYI": "1", "LD_LIBRARY": "x"}),
}
"""What a launch finds in the environment, and what is left for others."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """In place of this process's, in which pytest writes."""
    mine: dict[str, str] = {}
    monkeypatch.setattr(program, "os", SimpleNamespace(environ=mine, sysconf=os.sysconf))
    return mine


@pytest.mark.parametrize("case", CASES)
def test_others_get_what_they_would_have_had(
    case: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, left = CASES[case]
    environment.update(found)
    program.restore_environment()
    assert environment == found  # from source, nobody has changed it
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    program.restore_environment()
    assert environment == left


@pytest.mark.parametrize(("users", "given"), [({}, HUGE_PAGES), ({"GLIBC_TUNABLES": "x=1"}, "x=1")])
def test_what_begins_anew_has_the_launcher_s_again(
    users: dict[str, str], given: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.update(users)
    became: list[dict[str, str]] = []
    monkeypatch.setattr(program.os, "closerange", lambda _first, _last: None, raising=False)
    monkeypatch.setattr(program.os, "execve", lambda _path, _arguments, given: became.append(given), raising=False)
    program.begin_anew(Path("/bundle.loaf"))
    assert became == [users | {"LOAF_BUNDLE": "/bundle.loaf", "GLIBC_TUNABLES": given}]
    assert environment == users
