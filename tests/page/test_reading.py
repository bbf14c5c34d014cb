"""How a model's text is read while it comes: what has been read is not read again, and comes out as if it had been."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from bundler.freeze.page import npm_packages
from bundler.progress import SilentProgress
from support.bundles import ROOT

SOURCE = ROOT / "runtime" / "web" / "source"

SCRIPT = """
import { build } from "esbuild";
import { pathToFileURL } from "node:url";
const [entry, outfile, texts] = process.argv.slice(2);
const nodePaths = [process.cwd() + "/node_modules"];
await build({ entryPoints: [entry], outfile, bundle: true, format: "esm", nodePaths });
const { blocks, NOTHING, readOn } = await import(pathToFileURL(outfile));
const seen = (read) => JSON.stringify(blocks(read));
const found = JSON.parse(texts).map((pieces) => {
  let [read, text, kept] = [NOTHING, "", 0];
  for (const piece of pieces) {
    text += piece;
    const before = read;
    read = readOn(before, text);
    const whole = seen(readOn(NOTHING, text));
    if (seen(read) !== whole) return { text, read: seen(read), whole };
    kept = read.tokens.filter((token) => before.tokens.includes(token)).length;
  }
  return { kept };
});
console.log(JSON.stringify(found));
"""

LINES = [
    "Some words",
    "more *of* them",
    "# A heading",
    "- one",
    "- [ ] two",
    "  - below",
    "1. first",
    "> said",
    "```python",
    "```",
    "print(1)",
    "| a | b |",
    "|---|---|",
    "| 1 | 2 |",
    "---",
    "    indented",
    "  two",
    "$$",
    "$$x^2$$",
    r"\[ x",
    r"\]",
    "<div>",
    "</div>",
    "<!-- so",
    "a [link][it] there",
    "[it]: http://example.org",
    "",
    "",
    "",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's packages."""
    folder = tmp_path_factory.mktemp("reading")
    (folder / "node_modules").symlink_to(npm_packages(SilentProgress(), with_tools=False))
    (folder / "read.mjs").write_text(SCRIPT)
    return folder


def read(folder: Path, *texts: list[str]) -> list[dict[str, object]]:
    """What comes of `texts`, which come in pieces: how many tokens each's last piece left alone, or a difference."""
    given = [SOURCE / "src" / "markdown" / "lexer.ts", folder / "lexer.mjs", json.dumps(texts)]
    done = subprocess.run(
        ["node", "read.mjs", *map(str, given)], cwd=folder, check=True, capture_output=True, text=True
    )
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_piece_by_piece_it_comes_out_as_in_one(folder: Path) -> None:
    chance = random.Random(7)
    texts = []
    for _ in range(300):
        text = "\n".join(chance.choices(LINES, k=chance.randint(4, 24)))
        cuts = sorted(chance.choices(range(len(text)), k=20))
        texts.append([text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)])
    assert [found for found in read(folder, *texts) if "kept" not in found] == []


def test_all_but_the_end_is_left_as_it_was(folder: Path) -> None:
    paragraphs = [f"Paragraph {i}.\n\n" for i in range(20)]
    table, code = ["| a |\n", "|---|\n", "| 1 |\n\n"], ["```\n", "code\n", "```\n\n"]
    both = read(folder, [*paragraphs, *table, "At ", "the ", "end"], [*code, *paragraphs, "At ", "the ", "end"])
    assert all(int(str(found["kept"])) > 35 for found in both), both
