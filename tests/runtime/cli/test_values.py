"""What flags' values may be."""

from __future__ import annotations

import click
import pytest

from runtime.cli.values import FolderAndSize


@pytest.mark.parametrize(
    ("text", "size"), [("x=10G", 10**10), ("x=1.5GiB", 3 * 2**29), ("a=b=2k", 2000), ("x=999999999999T", 10**24)]
)
def test_a_folder_and_how_much_of_it(text: str, size: int) -> None:
    found = FolderAndSize().convert(text, None, None)
    assert str(found.folder) == text.rpartition("=")[0]
    assert found.size == pytest.approx(size)


@pytest.mark.parametrize("text", ["", "x", "x=", "=1G", "x=-1G", "x=1", "x=1X", "x=nanG", f"x={'9' * 400}T"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be DIR=SIZE"):
        FolderAndSize().convert(text, None, None)
