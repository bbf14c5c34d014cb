"""Models without a template of their own: what they are asked in, and where their answers end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.chat.conversation import Conversation
from runtime.chat.fallback import fallback_line
from runtime.chat.messages import Message
from runtime.chat.prompt import PromptBuilder
from support.bundles import DEMO_GGUF, Server
from support.characters import Characters

if TYPE_CHECKING:
    import subprocess

    Run = Callable[..., subprocess.CompletedProcess[str]]

TURNS = (Message("user", "x"), Message("assistant", "y"), Message("user", "z"))
CHATML = ("<|im_start|>", "<|im_end|>")


def base_model(folder: Path, *, knows_chatml: bool) -> Path:
    """The demo model without its template, and without ChatML's tokens unless it is to know them."""
    data = DEMO_GGUF.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_nothing_")
    if not knows_chatml:
        for token in CHATML:
            data = data.replace(token.encode(), token.replace("im", "no").encode())  # of the same length
    path = folder / "base.gguf"
    path.write_bytes(data)
    return path


def test_the_vocabulary_decides_what_it_is_asked_in() -> None:
    plain = PromptBuilder(Characters(chat_template=None), None).prepare(Conversation(TURNS))
    assert plain.text == "User: x\nAssistant: y\nUser: z\nAssistant:"
    assert plain.stop == ("\nUser:", "\nAssistant:")
    chatml = PromptBuilder(Characters(known=CHATML, chat_template=None), None).prepare(Conversation(TURNS))
    assert chatml.text.endswith("<|im_start|>user\nz<|im_end|>\n<|im_start|>assistant\n")
    assert chatml.stop == ()


def test_a_template_that_is_there_is_kept() -> None:
    own = Characters(chat_template="{{ messages[-1].content }}")
    assert (PromptBuilder(own, None).prepare(Conversation(TURNS)).text, fallback_line(own.facts, None)) == ("z", "")
    given = Characters(chat_template=None)
    builder = PromptBuilder(given, None, "{{ messages[0].content }}")
    assert (builder.prepare(Conversation(TURNS)).text, fallback_line(given.facts, builder.template)) == ("x", "")


def test_plain_lines_have_a_place_for_everything() -> None:
    builder = PromptBuilder(Characters(chat_template=None), "be brief")
    said = (*TURNS, Message("assistant", "a"), Message("tool", "21 degrees"))
    assert builder.prepare(Conversation(said)).text == (
        "be brief\n\nUser: x\nAssistant: y\nUser: z\nAssistant: a\n"
        "User: <tool_response>\n21 degrees\n</tool_response>\nAssistant:"
    )
    going_on = builder.prepare(Conversation(TURNS[:2], continues_last=True))
    assert going_on.text == "be brief\n\nUser: x\nAssistant: y"


def test_the_space_before_a_plain_answer_is_no_part_of_it() -> None:
    prepared = PromptBuilder(Characters(chat_template=None), None).prepare(Conversation(TURNS))
    parser = prepared.parser()
    deltas = [delta for text in (" ", " Yes", " indeed\n") for delta in parser.push(text)]
    assert "".join(delta.text for delta in (*deltas, *parser.finish())) == "Yes indeed\n"  # type: ignore[union-attr]


def test_a_prompt_is_gone_on_with_as_it_is(demo: Path, run: Run, tmp_path: Path) -> None:
    flags = ("-m", str(base_model(tmp_path, knows_chatml=False)), "--temp", "0", "-n", "8")
    text = "The first man on the moon was"
    gone_on = run(demo, *flags, "-p", text)
    assert (gone_on.returncode, gone_on.stderr) == (0, "")
    assert gone_on.stdout == run(demo, *flags, "-p", text, "--raw").stdout
    asked = run(demo, *flags, "-p", text, "--system", "Be brief.")
    assert asked.stdout != gone_on.stdout, "who has a system prompt wants an answer"


@pytest.mark.parametrize("knows_chatml", [True, False], ids=["ChatML", "plain lines"])
def test_it_is_said_at_the_launch(demo: Path, warm_cache: Path, run: Run, tmp_path: Path, knows_chatml: bool) -> None:
    model = base_model(tmp_path, knows_chatml=knows_chatml)
    words = "chats are written as " + ("ChatML" if knows_chatml else "plain lines of User: and Assistant:")
    assert words in run(demo, "-m", model, "--explain").stdout
    with Server(demo, "-m", str(model), "--temp", "0", "-n", "20", cache=warm_cache) as server:
        assert words in "".join(server.said)
        assert ("User: " in server.get("/props")[1]["chat_template"]) is not knows_chatml
        status, answer = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]})
        assert status == 200
        content = answer["choices"][0]["message"]["content"]
        assert "\nUser:" not in content
        assert content == content.lstrip()
