"""Recipes: what they say, from where, and which line of them is wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import RecipeError
from bundler.making.options import BUILD_PARAMETERS
from bundler.making.recipe import read_recipe
from support.bundles import ROOT, loaf


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "recipe.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_recipe(path, BUILD_PARAMETERS)


def test_a_key_is_a_flag(tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{{ messages }}")
    said = read(
        tmp_path,
        """
        model = "hf:owner/repo:Q4_K_M"
        output = "out/x.loaf"
        chat-template = "t.jinja"
        lora = ["a.gguf", "/abs/b.gguf=0.5"]
        also = ["embed=e.gguf", "hf:owner/other", "ollama:tiny"]
        temp = 0.5
        top-k = 1
        ignore-eos = true
        alias = "one,two"
        """,
    )
    assert said == {
        "model": "hf:owner/repo:Q4_K_M",
        "output": f"{tmp_path}/out/x.loaf",
        "chat_template": f"{tmp_path}/t.jinja",
        "lora": [f"{tmp_path}/a.gguf", "/abs/b.gguf=0.5"],
        "also": [f"embed={tmp_path}/e.gguf", "hf:owner/other", "ollama:tiny"],
        "temp": "0.5",
        "top_k": "1",
        "ignore_eos": True,
        "alias": "one,two",
    }


def test_paths_begin_in_its_folder(tmp_path: Path) -> None:
    assert read(tmp_path, 'model = "m.gguf"')["model"] == f"{tmp_path}/m.gguf"
    assert read(tmp_path, 'model = "demo"')["model"] == "demo"
    assert read(tmp_path, 'model = "/m.gguf"')["model"] == "/m.gguf"
    (tmp_path / "hf:odd").touch()
    assert read(tmp_path, 'model = "hf:odd"')["model"] == f"{tmp_path}/hf:odd", "a file comes before a scheme"


def test_one_value_need_be_no_list(tmp_path: Path) -> None:
    assert read(tmp_path, 'backend = "vulkan"')["backend"] == ["vulkan"]


WRONG: list[tuple[str, str | bytes, int, str | None, str]] = [
    ("a typo", 'model = "demo"\n\ntmep = 0.5\n', 3, "tmep", "did you mean temp?"),
    ("an underscore", "chat_template = 'x'", 1, "chat_template", "did you mean chat-template?"),
    ("nothing like it", "zzz = 1", 1, "zzz", "no such key"),
    ("a table", 'model = "demo"\n[sampling]\ntemp = 1', 2, "sampling", "no such key"),
    ("the same word in a text", 'system = """\ntmep = 1\n"""\ntmep = 2', 4, "tmep", "no such key"),
    ("the same word in a list", 'also = [\n"a",\n"zap=b",\n]\nzap = 2', 5, "zap", "no such key"),
    ("text for a number", '\ntemp = "hot"', 2, "temp", "'hot' is not a number"),
    ("a number for text", "system = 5", 1, "system", "must be text"),
    ("a number for a file", "lora = 5", 1, "lora", "must be text"),
    ("a list for one", 'model = ["a", "b"]', 1, "model", "must be text"),
    ("truth for a number", "temp = true", 1, "temp", "must be a number"),
    ("text for a switch", 'ignore-eos = "yes"', 1, "ignore-eos", "true or false"),
    ("an endless number", "temp = inf", 1, "temp", "not a number"),
    ("a quoted key", '"temp" = nan', 1, "temp", "not a number"),
    ("a scale that is none", 'lora = ["a.gguf=much"]', 1, "lora", "no scale"),
    ("no digest", 'sha256 = "12"', 1, "sha256", "64"),
    ("no such text", '\n\nchat-template = "t.jinja"', 3, "chat-template", "No such file"),
    ("a folder for text", 'readme = "."', 1, "readme", "Is a directory"),
    ("no TOML", "model = \n", 1, None, "Invalid value"),
    ("the same key twice", 'name = "a"\nname = "b"', 2, None, "overwrite"),
    ("no UTF-8", b'model = "demo"\nname = "\xff"', 2, None, "UTF-8"),
    ("far too long", b"#" * 300_000, 1, None, "longer than"),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_has_a_line_and_a_key(
    tmp_path: Path, text: str | bytes, line: int, key: str | None, says: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        read(tmp_path, text)
    assert (raised.value.line, raised.value.key) == (line, key)
    assert says in raised.value.problem
    assert str(raised.value).startswith(f"{tmp_path}/recipe.toml:{line}: ")


def test_every_option_may_be_in_a_recipe(tmp_path: Path) -> None:
    """But for the recipe itself; values that they all take are not to be had, so keys alone are tried."""
    for parameter in BUILD_PARAMETERS:
        key = next((name for name in parameter.opts if name.startswith("--")), "--model")[2:]
        with pytest.raises(RecipeError) as raised:
            read(tmp_path, f"{key} = {{}}")
        assert "no such key" not in raised.value.problem


def test_every_option_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "build.md").read_text()
    for parameter in BUILD_PARAMETERS:
        if not getattr(parameter, "hidden", False):
            assert f"`{max(parameter.opts, key=len)}`" in text


def test_the_recipe_in_the_docs_can_be_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "build.md").read_text()
    (tmp_path / "about.md").touch()
    assert read(tmp_path, text.partition("```toml\n")[2].partition("```")[0])["temp"] == "0.2"


def test_the_command_line_comes_first(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('model = "missing.gguf"\nname = "x"\ntemp = "wrong"')
    result = loaf("build", "-f", str(tmp_path / "recipe.toml"))
    assert (result.returncode, "recipe.toml:3: temp" in result.stderr) == (1, True)
    (tmp_path / "recipe.toml").write_text('model = "missing.gguf"')
    result = loaf("build", "-f", str(tmp_path / "recipe.toml"), "other.gguf")
    assert "other.gguf: no such file" in result.stderr
    result = loaf("build", "-f", str(tmp_path / "recipe.toml"))
    assert f"{tmp_path}/missing.gguf: no such file" in result.stderr
    result = loaf("build", "-f", str(tmp_path / "none.toml"))
    assert (result.returncode, "none.toml: No such file" in result.stderr) == (1, True)


def test_two_builds_from_one_recipe_are_the_same_bytes(demo_gguf: Path, tmp_path: Path) -> None:
    """In other folders, time zones and years, and for who lets nobody read his files."""
    recipe = """
        model = "weights/tiny.gguf"
        output = "tiny.loaf"
        system = "Be brief."
        chat-template = "t.jinja"
        readme = "about.md"
        temp = 0.2
        alias = "tiny"
    """
    places = [("here", "UTC", "022", 1_000_000_000), ("elsewhere/far off", "Asia/Kathmandu", "077", 1_700_000_000)]
    built = []
    for name, zone, umask, time in places:
        folder = tmp_path / name
        (folder / "weights").mkdir(parents=True)
        shutil.copy(demo_gguf, folder / "weights" / "tiny.gguf")
        texts = {"recipe.toml": recipe, "t.jinja": "{{ messages[0].content }}", "about.md": "# Tiny\n"}
        for file, text in texts.items():
            (folder / file).write_text(text)
            os.utime(folder / file, (time, time))
        os.utime(folder / "weights" / "tiny.gguf", (time, time))
        result = loaf(
            "build",
            "-f",
            str(folder / "recipe.toml"),
            cwd=tmp_path,
            umask=int(umask, 8),
            env={**os.environ, "TZ": zone},
        )
        assert result.returncode == 0, result.stderr
        built.append((folder / "tiny.loaf").read_bytes())
    assert built[0] == built[1]
