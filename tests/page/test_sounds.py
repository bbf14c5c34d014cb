"""Sounds on the page, for a model that hears: files and voice notes, what is sent of them, and what is refused at once.

Nothing is stubbed but what the server says of its model, and the answer; the microphone is Chromium's own, which beeps.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from runtime.media.sounds import decode_sound
from support.browsers import answering, delete_first, last_answer, opened, say
from support.bundles import Server
from support.sounds import tone, wav, written

ATTACH = "Attach a sound, PDF, Word or text file"


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with hearing(browser, server) as page:
        yield page


def hearing(browser: Browser, server: Server, **options: Any) -> Any:
    """The page, with a model that it takes for one that hears."""
    props = server.get("/props")[1]
    props["modalities"]["audio"] = True

    def hears(page: Page) -> None:
        answering({"content": "A tone."})(page)
        page.route("**/props?*", lambda route: route.fulfill(json=props))

    return opened(browser, server.url, before=hears, **options)


def attach(page: Page, name: str, kind: str, content: bytes) -> None:
    page.get_by_role("button", name=ATTACH).wait_for()
    page.get_by_label("Files to attach").set_input_files([{"name": name, "mimeType": kind, "buffer": content}])


def sent(page: Page) -> Any:
    """The sound that was attached, as it was sent, once it is answered: `data` and `format`."""
    expect(page.locator(".composer .chips audio")).to_be_visible()
    say(page, "What is it?")
    last_answer(page)
    sound, text = page.asked[-1]["messages"][-1]["content"]  # type: ignore[attr-defined]
    assert (sound["type"], text) == ("input_audio", {"type": "text", "text": "What is it?"})
    return sound["input_audio"]


def heard(sound: Any) -> array[float]:
    """What the server makes of it."""
    return array("f", decode_sound("f", base64.b64decode(sound["data"]), 16_000).data)


@pytest.mark.parametrize(
    ("form", "type_", "format_"),
    [("wav", "audio/wav", "wav"), ("mp3", "audio/mpeg", "mp3"), ("flac", "audio/flac", "flac"), ("opus", "", "ogg")],
)
def test_what_the_server_reads_is_sent_as_it_is_and_kept(page: Page, form: str, type_: str, format_: str) -> None:
    """Byte for byte, with every question, and after a reload."""
    content = written(tone(), form)
    attach(page, f"tone.{format_}", type_, content)
    assert sent(page) == {"data": base64.b64encode(content).decode(), "format": format_}
    page.reload()
    expect(page.locator(".bubble .chips audio")).to_be_visible()
    say(page, "And now?")
    last_answer(page)
    first, _answer, second = page.asked[-1]["messages"]  # type: ignore[attr-defined]
    assert first["content"][0]["input_audio"]["data"] == base64.b64encode(content).decode()
    assert second["content"] == "And now?"


def test_it_goes_out_into_a_file_and_in_again(page: Page, tmp_path: Path) -> None:
    attach(page, "tone.wav", "audio/wav", wav())
    sent(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").first.click()
    download.value.save_as(tmp_path / "kept.json")
    delete_first(page)
    page.get_by_label("Files to import").set_input_files(tmp_path / "kept.json")
    page.get_by_role("navigation", name="Conversations").locator(".chats li > a").click()
    expect(page.locator(".bubble .chips audio")).to_have_attribute(
        "src", "data:audio/wav;base64," + base64.b64encode(wav()).decode()
    )


def test_a_voice_note_is_sent_as_what_models_listen_to(page: Page) -> None:
    page.get_by_role("button", name="Record a voice note").click()
    expect(page.get_by_role("timer")).to_have_text("0:01")
    page.get_by_role("button", name="End the voice note").click()
    sound = sent(page)
    assert sound["format"] == "wav"
    samples = heard(sound)
    assert len(samples) > 16_000 // 2
    assert max(map(abs, samples)) > 0.01, "the beep"


DENIED = """() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
}"""


def test_a_microphone_that_may_not_be_used_is_told(page: Page) -> None:
    page.get_by_role("button", name="Record a voice note").wait_for()
    page.evaluate(DENIED)
    page.get_by_role("button", name="Record a voice note").click()
    told = page.get_by_role("alert").filter(has_text="the browser was not allowed the microphone")
    expect(told).to_be_visible()
    expect(page.get_by_role("button", name="Record a voice note")).to_be_visible()


def test_what_the_browser_cannot_hear_is_not_taken(page: Page) -> None:
    attach(page, "x.m4a", "audio/mp4", b"\0\0\0\x18ftypM4A " + bytes(40))
    told = "x.m4a: this browser cannot read the sound. Send it as WAV, MP3, FLAC or Ogg"
    expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
    expect(page.locator(".composer .chips")).to_have_count(0)


def test_only_where_the_model_hears(browser: Browser, server: Server) -> None:
    with opened(browser, server.url) as deaf:
        deaf.get_by_role("button", name="Attach a PDF, Word or text file").wait_for()
        expect(deaf.get_by_role("button", name="Record a voice note")).to_have_count(0)
        files: Any = [{"name": "tone.wav", "mimeType": "audio/wav", "buffer": wav()}]
        deaf.get_by_label("Files to attach").set_input_files(files)
        told = "tone.wav: this model does not hear sounds"
        expect(deaf.get_by_role("alert").filter(has_text=told)).to_be_visible()
