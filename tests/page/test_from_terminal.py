"""A conversation that the chat in the terminal has saved goes on in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from runtime.console.saving import save
from runtime.console.transcript import Transcript
from runtime.media.given import Gathering
from support.browsers import answering, last_answer, opened, say
from support.bundles import Server
from support.pictures import data_uri, png
from support.sounds import wav

PICTURE, SOUND = data_uri(png()), data_uri(wav(), "audio/wav")


def test_a_conversation_saved_there_goes_on_here(browser: Browser, server: Server, tmp_path: Path) -> None:
    """All of it: system prompt, pictures, sounds, thoughts. What is asked next comes after what the file has."""
    gathering = Gathering()
    for source, kind in ((PICTURE, "image_url"), (SOUND, "input_audio")):
        gathering.add("", source, kind, is_now=False)
    transcript = Transcript("Be brief.").asked("What is this?", gathering.given).answered("A red one.", "I see red.")
    save(transcript.asked("And its name?").answered("None."), tmp_path / "talk.json")
    with opened(browser, server.url, before=answering({"content": "Yes."})) as page:
        bring_in(page, tmp_path / "talk.json")
        expect(page.get_by_text("1 conversation imported.")).to_be_visible()
        page.get_by_role("link", name="What is this?").click()
        expect(page.locator(".bubble")).to_contain_text(["What is this?", "And its name?"])
        expect(page.locator(".turn.assistant .markdown")).to_contain_text(["A red one.", "None."])
        expect(page.get_by_text("I see red.")).to_be_attached()
        expect(page.locator(".ended")).to_have_count(0)
        expect(page.get_by_role("img", name="Picture 1")).to_have_attribute("src", PICTURE)
        expect(page.locator(".bubble audio")).to_have_attribute("src", SOUND)
        say(page, "Really?")
        last_answer(page)
        saved = json.loads((tmp_path / "talk.json").read_text())["messages"]
        for message in saved:
            message.pop("reasoning_content", None)  # what is thought is not sent again
        assert page.asked[0]["messages"] == [*saved, {"role": "user", "content": "Really?"}]  # type: ignore[attr-defined]


def test_a_file_that_is_brought_in_twice_is_there_once(browser: Browser, server: Server, tmp_path: Path) -> None:
    save(Transcript().asked("What is this?"), tmp_path / "talk.json")
    with opened(browser, server.url) as page:
        bring_in(page, tmp_path / "talk.json")
        expect(page.get_by_text("1 conversation imported.")).to_be_visible()
        bring_in(page, tmp_path / "talk.json")
        expect(page.get_by_text("Nothing imported: the conversation is here already.")).to_be_visible()


CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
OTHERS: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.org/cat.png"}}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "rain", "tool_call_id": "c"},
    {"role": "assistant", "content": "It rains."},
]


def test_what_other_programs_write_comes_in_too(browser: Browser, server: Server, tmp_path: Path) -> None:
    """A list alone; calls and their results; a picture that is elsewhere is its address, and nothing is fetched."""
    (tmp_path / "list.json").write_text(json.dumps(OTHERS))
    with opened(browser, server.url) as page:
        bring_in(page, tmp_path / "list.json")
        page.get_by_role("link", name="http://example.org/cat.png").click()
        expect(page.locator(".bubble")).to_have_text("http://example.org/cat.png")
        called = page.get_by_role("region", name="Call of weather")
        expect(called.get_by_label("Result", exact=True)).to_have_text("rain")
        expect(page.locator(".turn.assistant .markdown")).to_have_text("It rains.")


def bring_in(page: Page, file: Path) -> None:
    page.get_by_label("Files to import").set_input_files(file)
