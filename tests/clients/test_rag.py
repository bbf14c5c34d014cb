"""docs/rag.md: its bundle is built as it says, and its program is run as it stands, but for the port."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from support.bundles import DEMO_GGUF, ROOT, Server, clean_environment, loaf

DOCUMENT = (ROOT / "docs" / "rag.md").read_text("utf-8")
EMBEDDER = ROOT / "tests" / "data" / "embedder.gguf"


def block(language: str) -> str:
    """The document's one block of code in `language`."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_document_does_what_it_says(tmp_path: Path, warm_cache: Path) -> None:
    shutil.copy(DEMO_GGUF, tmp_path / "chat.gguf")
    shutil.copy(EMBEDDER, tmp_path / "minilm.gguf")
    program, *arguments = shlex.split(block("sh").splitlines()[0])
    assert program == "loaf"
    loaf(*arguments, check=True, cwd=tmp_path)
    with Server(tmp_path / "rag.loaf", cache=warm_cache) as server:
        code = block("python").replace("http://127.0.0.1:8080", server.url)
        assert server.url in code
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=clean_environment()
        )
    assert result.returncode == 0, result.stderr
    moon, moon_text, norway, norway_text = result.stdout.splitlines()
    assert "Neil Armstrong" in moon
    assert "first man on the moon" in moon_text
    assert "Oslo" in norway
    assert "Oslo" in norway_text
