"""What is baked into a bundle, and that it then does so: defaults, adapters, templates, texts for people."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.file.baked import Baked, Part
from runtime.bundle import ALIGNMENT, open_bundle
from runtime.cli.arguments import parse_arguments, with_arguments
from support.adapters import write_lora
from support.architectures import Architecture, write_model
from support.bundles import Server, loaf
from support.ggufs import LLAMA, TENSORS, write_gguf

Run = Callable[..., "object"]

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<a>"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, two adapters of it, and texts."""
    folder = tmp_path_factory.mktemp("parts")
    write_model(folder / "model.gguf", Architecture.ATTENTION)
    write_model(folder / "other.gguf", Architecture.SLIDING_WINDOW)
    write_lora(folder / "one.gguf", seed=1, rank=4)
    write_lora(folder / "two.gguf", seed=2, rank=4)
    (folder / "template.jinja").write_text(TEMPLATE)
    (folder / "LICENSE.txt").write_text("Do as you like.\n")
    (folder / "about.md").write_text("# Tiny\n")
    return folder


@pytest.fixture(scope="module")
def baked(parts: Path) -> Path:
    """A bundle with all of it."""
    result = loaf(
        "build", "model.gguf", "-o", "baked.loaf", "--lora", "one.gguf=0.5", "--lora", "two.gguf",
        "--chat-template", "template.jinja", "--license", "LICENSE.txt", "--readme", "about.md",
        "--draft", "other.gguf", "--alias", "tiny,small", "--temp", "0", "--seed", "-1",
        "--dry-sequence-breaker", "'\n",
        "--args", "--port 1 ... --no-slots", "--system", "Be brief.", cwd=parts,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return parts / "baked.loaf"


def test_a_flag_that_is_given_again_replaces_the_earlier_one() -> None:
    """By whichever of its names; flags that may be given several times add up."""
    baked = Baked("--temperature 0.1 --port 3 -l 1+1")
    for more in ("--temp 0.2", "--logit-bias 2+2", "--temp 0.3\n--ignore-eos", "--ignore-eos"):
        baked = Baked(Baked(flags=more).over(baked).arguments())
    assert baked.args is not None
    assert baked.args.split("\n") == ["--port 3 -l 1+1", "--logit-bias 2+2", "--temp 0.3", "--ignore-eos"]


def test_what_is_inside(baked: Path, parts: Path) -> None:
    bundle = open_bundle(baked)
    assert [(one.name, one.role, one.scale) for one in bundle.manifest.models] == [
        ("model", "model", 1.0),
        ("one", "lora", 0.5),
        ("two", "lora", 1.0),
        ("other", "draft", 1.0),
    ]
    assert all(bundle.spans[one.entry].offset % ALIGNMENT == 0 for one in bundle.manifest.models)
    with zipfile.ZipFile(baked) as archive:
        assert archive.read("models/two.gguf") == (parts / "two.gguf").read_bytes()
        assert archive.read("README.md") == b"# Tiny\n"
        assert archive.read("licenses/model.txt") == b"Do as you like.\n"
    assert parse_arguments(bundle.args, {}).before[-2:] == ("--dry-sequence-breaker", "'\n")
    assert loaf("verify", str(baked)).returncode == 0


def test_inspect_tells_of_it(baked: Path) -> None:
    text = loaf("inspect", str(baked), check=True).stdout
    for line in (
        "one, scale 0.5",
        "other, which guesses",
        "licenses/model.txt",
        "README.md",
        "not the model's own",
    ):
        assert line in text
    found = json.loads(loaf("inspect", "--json", str(baked), check=True).stdout)
    assert [part["role"] for part in found["bundle"]["parts"]] == ["lora", "lora", "draft"]
    assert found["bundle"]["chat_template"] == TEMPLATE
    assert [model["served_as"] for model in found["models"]] == ["model"]


def test_it_is_served_with_all_of_it(baked: Path, warm_cache: Path) -> None:
    with Server(baked, cache=warm_cache) as server:
        assert [(one["path"], one["scale"]) for one in server.get("/lora-adapters")[1]] == [("one", 0.5), ("two", 1.0)]
        assert server.get("/v1/models/tiny")[0] == server.get("/v1/models/small")[0] == 200
        prompt = server.post("/apply-template", {"messages": [{"role": "user", "content": "Hi"}]})[1]["prompt"]
        assert prompt == "<system>Be brief.<user>Hi<a>"
        assert server.post("/api/show", {"model": "tiny"})[1]["template"] == TEMPLATE
        assert server.get("/slots")[0] == 501, "`--no-slots` comes last"
        assert server.get("/props")[1]["default_generation_settings"]["params"]["temperature"] == 0


def test_adapters_inside_are_as_those_beside(baked: Path, demo: Path, parts: Path, run: Run) -> None:
    asked = ("-p", "Once upon a time", "--raw", "--temp", "0", "-n", "24")
    inside = run(baked, *asked)
    beside = run(demo, "-m", parts / "model.gguf", "--lora-scaled", f"{parts / 'one.gguf'}:0.5",
                 "--lora", parts / "two.gguf", *asked)  # fmt: skip
    without = run(demo, "-m", parts / "model.gguf", *asked)
    assert inside.returncode == 0, inside.stderr  # type: ignore[attr-defined]
    assert inside.stdout == beside.stdout  # type: ignore[attr-defined]
    assert inside.stdout != without.stdout  # type: ignore[attr-defined]


def test_a_bundle_made_from_a_bundle_keeps_it(baked: Path, tmp_path: Path) -> None:
    result = loaf("build", str(baked), "-o", str(tmp_path / "again.loaf"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.loaf").read_bytes() == baked.read_bytes()


def test_a_bundle_made_from_a_bundle_changes_what_is_said(baked: Path, parts: Path, tmp_path: Path) -> None:
    result = loaf(
        "build", str(baked), "-o", str(tmp_path / "again.loaf"), "--lora", str(parts / "two.gguf"), "--temp", "1"
    )
    assert result.returncode == 0, result.stderr
    bundle = open_bundle(tmp_path / "again.loaf")
    assert [one.name for one in bundle.adapters()] == ["two"]
    assert bundle.args.split()[-4:] == ["--temp", "1.0", "...", "--no-slots"]
    assert bundle.manifest.system == "Be brief."


def test_set_makes_of_a_bundle_what_building_anew_makes(baked: Path, parts: Path, tmp_path: Path) -> None:
    options = ["--lora", str(parts / "two.gguf"), "--temp", "1", "--license", str(parts / "about.md"), "--name", "x"]
    built, changed = tmp_path / "built.loaf", tmp_path / "changed.loaf"
    loaf("build", str(baked), *options, "-o", str(built), check=True)
    shutil.copy(baked, changed)
    loaf("set", str(changed), *options, check=True)
    assert changed.read_bytes() == built.read_bytes()


def test_what_set_refuses_leaves_the_bundle_alone(baked: Path, parts: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(baked, target)
    for options, says in ((["--args", "--tmep 1"], "--tmep"), (["--lora", str(parts / "other.gguf")], "of the kind")):
        refused = loaf("set", str(target), *options)
        assert (refused.returncode, says in refused.stderr) == (1, True), refused.stderr
        assert target.read_bytes() == baked.read_bytes()


BAD: list[tuple[str, list[str], str]] = [
    ("no such adapter", ["--lora", "none.gguf"], "none.gguf"),
    ("a model for an adapter", ["--lora", "other.gguf"], "is of the kind model"),
    ("an adapter for a draft", ["--draft", "one.gguf"], "is of the kind adapter"),
    ("a model for a projector", ["--mmproj", "other.gguf"], "not a projector"),
    ("an adapter of another architecture", ["--lora", "mamba.gguf"], "architecture mamba"),
    ("an adapter of another size", ["--lora", "wide.gguf"], "blk.0.attn_output.weight.lora_a has the shape"),
    ("an adapter of other layers", ["--lora", "deep.gguf"], "the model has no tensor blk.9.ffn_down.weight"),
    ("a control vector", ["--lora", "control.gguf"], "another kind than LoRA"),
    ("adapters of one name", ["--lora", "one.gguf", "--lora", "more/one.gguf"], "another adapter of the bundle is"),
    ("a draft of other words", ["--draft", "tiny.gguf"], "tokens"),
    ("a draft that cannot take back", ["--draft", "mamba-model.gguf"], "its memory is a state"),
    ("a scale that is none", ["--lora", "one.gguf=nan"], "no scale"),
    ("a flag that is none", ["--args", "--tmep 1"], "--tmep"),
    ("a value that is none", ["--args", "--temp hot"], "'hot' is not a number"),
    ("a word too many", ["--args", "hello"], "hello"),
    ("samplers that are none", ["--samplers", "best"], "best"),
    ("a template that is none", ["--chat-template", "bad.jinja"], "--chat-template"),
    ("a template that refuses", ["--chat-template", "refuses.jinja"], "never"),
    ("a template that loops", ["--chat-template", "loops.jinja"], "--chat-template"),
    ("a text for a template", ["--chat-template", "about.md"], "what the user says does not appear"),
    ("both texts", ["--system", "a", "--system-file", "about.md"], "not both"),
    ("other weights", ["--sha256", "0" * 64], "SHA-256"),
]


@pytest.fixture(scope="module")
def odd_parts(parts: Path) -> Path:
    adapter = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0}
    halves = {
        "wide": ("llama", "blk.0.attn_output", (999, 4)),
        "deep": ("llama", "blk.9.ffn_down", (128, 4)),
        "mamba": ("mamba", "blk.0.ffn_down", (128, 4)),
    }
    for name, (architecture, tensor, shape) in halves.items():
        spec = type(TENSORS[0])(f"{tensor}.weight.lora_a", shape)
        write_gguf(parts / f"{name}.gguf", {**adapter, "general.architecture": architecture}, [spec])
    write_model(parts / "mamba-model.gguf", Architecture.RECURRENT)
    control = {**adapter, "adapter.type": "control", "general.architecture": "llama"}
    write_gguf(parts / "control.gguf", control, [TENSORS[0]])
    write_gguf(parts / "tiny.gguf", {**LLAMA, "tokenizer.ggml.model": "gpt2"}, TENSORS)
    (parts / "more").mkdir()
    write_lora(parts / "more" / "one.gguf", seed=3, rank=4)
    (parts / "bad.jinja").write_text("{% for x %}")
    (parts / "refuses.jinja").write_text("{{ raise_exception('never') }}")
    (parts / "loops.jinja").write_text("{% for x in range(10**9) %}{{ x }}{% endfor %}")
    return parts


@pytest.mark.parametrize(("flags", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_does_not_fit_is_refused(odd_parts: Path, flags: list[str], says: str) -> None:
    result = loaf("build", "model.gguf", "-o", "bad.loaf", *flags, cwd=odd_parts)
    assert result.returncode in (1, 2)
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not (odd_parts / "bad.loaf").exists()


def test_args_that_need_the_place_where_it_runs_are_taken(demo_gguf: Path, tmp_path: Path) -> None:
    for args in ("--port $PORT", "--api-key-file /not/here", "--slot-save-path /not/here"):
        result = loaf("build", str(demo_gguf), "-o", str(tmp_path / "x.loaf"), "--args", args)
        assert result.returncode == 0, result.stderr


def test_flags_come_after_args_and_before_the_user_s() -> None:
    assert with_arguments("--temp 1 # hot", "--temp 0") == "--temp 1 # hot\n--temp 0"
    assert with_arguments("-n 5 ... --port 1", "--temp 0") == "-n 5\n--temp 0\n... --port 1"
    assert with_arguments("-p '...x' # ...\n...", "a") == "-p '...x' # ...\na\n..."
    assert with_arguments("", "a") == "a"
    assert with_arguments(" x ", "") == " x "


def test_what_is_said_stands_over_what_came_along() -> None:
    one, two = Part("lora", Path("1"), "1"), Part("lora", Path("2"), "2")
    draft = Part("draft", Path("d"), "d")
    came = Baked(args="-n 1", system="a", readme="b", parts=(one, draft))
    assert Baked().over(came) == came
    assert Baked(flags="--temp 0", parts=(two,)).over(came).arguments() == "-n 1\n--temp 0"
    assert Baked(parts=(two,)).over(came).parts == (two, draft)
    assert Baked(system="").over(came).system == ""
    assert Baked(args="-n 2").over(came).arguments() == "-n 2"
