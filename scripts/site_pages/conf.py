"""Sphinx's settings for the site of the documentation. Its order is that of docs/README.md.

The pages are read where they lie and as they are: nothing in them is written for Sphinx. What they link to beside them,
as a template or a script, comes along as a file.
"""

from __future__ import annotations

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
INDEX = "docs/README"
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")

project = "loaf"
html_title = "loaf"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md", "findings/README.md", "bundler/demo/README.md"]
exclude_patterns = [".*", "build", "dist", "made", "runtime", "tests", "scripts", "templates"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
"""Examples may leave something out (…), which is no valid JSON; an index may begin with its list."""

html_theme = "furo"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["flags.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"footer_icons": []}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _read)


def _read(_app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = _without_links_to_folders(ROOT / f"{name}.md", source[0])
    if name == root_doc:
        source[0] += _contents()


def _without_links_to_folders(page: Path, text: str) -> str:
    """A folder is none of the site's pages, and no file that could come along."""

    def shown(link: re.Match[str]) -> str:
        return link[1] if (page.parent / link[2]).is_dir() else link[0]

    return _LINK.sub(shown, text)


def _contents() -> str:
    """Sphinx's own table of contents: the pages of both tables of the index, and what lies elsewhere."""
    guides, reference = (ROOT / f"{INDEX}.md").read_text("utf-8").split("\nTo look up:\n")
    reference = reference.partition("\n## ")[0]
    seen = {INDEX}
    parts = [_tree("Overview", [INDEX])]
    for caption, text in (("Guides", guides), ("Reference", reference)):
        names = dict.fromkeys(f"docs/{link[2].partition('#')[0].removesuffix('.md')}" for link in _LINK.finditer(text))
        parts.append(_tree(caption, [name for name in names if name not in seen]))
        seen |= names.keys()
    return "".join([*parts, _tree("Besides", ["CHANGELOG", "bundler/demo/README", "findings/README"])])


def _tree(caption: str, names: list[str]) -> str:
    return "\n\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(names) + "\n```\n"
