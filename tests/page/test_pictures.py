"""Pictures on the page, for a model that sees: how they come in, what is sent of them, and what is refused at once.

Nothing is stubbed but what the server says of its model, and the answer.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import PHONE, answering, delete_first, last_answer, opened, say
from support.bundles import Server, loaf
from support.pictures import written
from support.vision import ON_ITS_SIDE, digit, shapes

DRAWN = """async ([width, height, type]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "red";
  pen.fillRect(0, 0, width / 2, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 1));
  return Array.from(new Uint8Array(await blob.arrayBuffer()));
}"""
"""A picture whose left half is red, and whose right half is nothing."""

LOOKED_AT = """async (bytes) => {
  const drawn = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  const canvas = Object.assign(document.createElement("canvas"), { width: drawn.width, height: drawn.height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(drawn, 0, 0);
  const at = (x, y) => Array.from(pen.getImageData(x * drawn.width, y * drawn.height, 1, 1).data);
  return { size: [drawn.width, drawn.height], corners: [at(0.1, 0.1), at(0.9, 0.1), at(0.1, 0.9)] };
}"""

GIVEN = """([kind, bytes, type, on]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "given.png", { type }));
  const target = document.querySelector(on);
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}"""

ORIENTED = bytes.fromhex("ffe1002245786966000049492a00080000000100120103000100000006000000000000000000")
"""An EXIF segment: the top of these pixels is the right side of the picture (6), as phones held upright write it."""


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with seeing(browser, server) as page:
        yield page


def seeing(browser: Browser, server: Server, **options: Any) -> Any:
    """The page, with a model that it takes for one that sees."""
    props = server.get("/props")[1]
    props["modalities"]["vision"] = True

    def sees(page: Page) -> None:
        answering({"content": "A red half."})(page)
        page.route("**/props?*", lambda route: route.fulfill(json=props))

    return opened(browser, server.url, before=sees, **options)


def drawn(page: Page, width: int, height: int, kind: str = "image/png") -> bytes:
    return bytes(page.evaluate(DRAWN, [width, height, kind]))


def attach(page: Page, name: str, kind: str, content: bytes) -> None:
    page.get_by_role("button", name="Attach a picture, PDF, Word or text file").wait_for()
    page.get_by_label("Files to attach").set_input_files([{"name": name, "mimeType": kind, "buffer": content}])


def sent(page: Page, question: str = "What is it?") -> list[dict[str, Any]]:
    """The parts of the message with what was attached, once it is answered."""
    expect(page.locator(".composer .chips img")).to_be_visible()
    say(page, question)
    last_answer(page)
    return page.asked[-1]["messages"][-1]["content"]  # type: ignore[attr-defined, no-any-return]


def address(part: dict[str, Any]) -> str:
    return str(part["image_url"]["url"])


def looked_at(page: Page, part: dict[str, Any]) -> Any:
    """The size of the picture that was sent, and three of its colours."""
    content = base64.b64decode(address(part).partition(",")[2])
    return page.evaluate(LOOKED_AT, list(content))


def test_a_small_one_is_sent_as_it_is_and_kept(page: Page, tmp_path: Path) -> None:
    """Byte for byte, with every question, after a reload, and out into a file and in again."""
    content = drawn(page, 30, 20)
    attach(page, "half.png", "image/png", content)
    picture, text = sent(page)
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    assert (address(picture), text) == (url, {"type": "text", "text": "What is it?"})
    page.reload()
    expect(page.get_by_role("img", name="half.png")).to_be_visible()
    say(page, "And now?")
    last_answer(page)
    first, _answer, second = page.asked[-1]["messages"]  # type: ignore[attr-defined]
    assert (address(first["content"][0]), second["content"]) == (url, "And now?")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").first.click()
    download.value.save_as(tmp_path / "kept.json")
    assert url in (tmp_path / "kept.json").read_text()
    delete_first(page)
    page.get_by_label("Files to import").set_input_files(tmp_path / "kept.json")
    page.get_by_role("navigation", name="Conversations").locator(".chats li > a").click()
    expect(page.get_by_role("img", name="half.png")).to_be_visible()


def test_a_question_to_begin_with_asks_for_its_picture(page: Page) -> None:
    question = page.get_by_role("button", name="What is in this picture?")
    content = drawn(page, 30, 20)
    with page.expect_file_chooser() as chooser:
        question.click()
    chooser.value.set_files({"name": "half.png", "mimeType": "image/png", "buffer": content})
    last_answer(page)
    picture, text = page.asked[-1]["messages"][-1]["content"]  # type: ignore[attr-defined]
    assert address(picture).endswith(base64.b64encode(content).decode())
    assert text == {"type": "text", "text": "What is in this picture?"}


@pytest.mark.parametrize(("kind", "on"), [("paste", "#message"), ("drop", ".composer"), ("drop", "header")])
def test_pasted_or_dropped_anywhere(page: Page, kind: str, on: str) -> None:
    page.get_by_role("button", name="Attach a picture, PDF, Word or text file").wait_for()
    content = drawn(page, 30, 20)
    assert page.evaluate(GIVEN, [kind, list(content), "image/png", on])
    (picture,) = sent(page, "")
    assert address(picture).endswith(base64.b64encode(content).decode())


def test_a_photo_is_made_smaller_upright_and_white_where_nothing_is(page: Page) -> None:
    content = drawn(page, 3000, 2000, "image/webp")
    attach(page, "large.webp", "image/webp", content)
    picture, _text = sent(page)
    looked = looked_at(page, picture)
    assert address(picture).startswith("data:image/jpeg;base64,")
    assert looked["size"] == [2048, 1365]
    assert [is_like(color, (255, 0, 0)) for color in looked["corners"]] == [True, False, True]
    assert is_like(looked["corners"][1], (255, 255, 255))
    photo = drawn(page, 3000, 2000, "image/jpeg")
    attach(page, "phone.jpg", "image/jpeg", photo[:2] + ORIENTED + photo[2:])
    looked = looked_at(page, sent(page)[0])
    assert looked["size"] == [1365, 2048]
    assert [is_like(color, (255, 0, 0)) for color in looked["corners"]] == [True, True, False]


def is_like(color: list[int], wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(color[:3], wanted, strict=True))


def test_a_picture_is_known_by_what_is_in_it(page: Page) -> None:
    content = drawn(page, 30, 20)
    attach(page, "nameless", "", content)
    picture, _text = sent(page)
    assert address(picture).startswith("data:image/png;base64,")


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


@pytest.mark.parametrize(("name", "content", "told"), [
    ("x.heic", HEIC, "this browser cannot read the picture: it is HEIC"),
    ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "this browser cannot read the picture. Send it as JPEG or PNG"),
])  # fmt: skip
def test_what_the_browser_cannot_show_is_not_taken(page: Page, name: str, content: bytes, told: str) -> None:
    attach(page, name, "", content)
    expect(page.get_by_role("alert").filter(has_text=f"{name}: {told}")).to_be_visible()
    expect(page.locator(".composer .chips")).to_have_count(0)


def test_a_phone_has_a_camera(browser: Browser, server: Server) -> None:
    with seeing(browser, server, size=PHONE, has_touch=True, is_mobile=True) as page:
        page.get_by_role("button", name="Take a photo").wait_for()
        camera = page.get_by_label("Photo to attach")
        assert camera.get_attribute("capture") == "environment"
        photo = {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": drawn(page, 300, 200, "image/jpeg")}
        camera.set_input_files([photo])
        expect(page.get_by_role("img", name="image.jpg")).to_be_visible()


def test_only_where_the_model_sees(browser: Browser, server: Server, page: Page) -> None:
    expect(page.get_by_role("button", name="Take a photo")).to_be_hidden()  # no finger here points at anything
    content = drawn(page, 30, 20)
    with opened(browser, server.url) as blind:
        blind.get_by_role("button", name="Attach a PDF, Word or text file").wait_for()
        expect(blind.get_by_role("button", name="Take a photo")).to_have_count(0)
        files = [{"name": "half.png", "mimeType": "image/png", "buffer": content}]
        blind.get_by_label("Files to attach").set_input_files(files)  # type: ignore[arg-type]
        told = "half.png: this model does not see pictures"
        expect(blind.get_by_role("alert").filter(has_text=told)).to_be_visible()


# -- a model that sees ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seer(tmp_path_factory: pytest.TempPathFactory, warm_cache: Path) -> Iterator[Server]:
    """The vision demo's bundle, which serves."""
    bundle = tmp_path_factory.mktemp("vision") / "vision.loaf"
    loaf("build", "demo-vision", "-o", str(bundle), check=True)
    with Server(bundle, "--temp", "0", cache=warm_cache) as server:
        yield server


SHAPE, COLOUR, DIGIT = "Which shape is this?", "What colour is it?", "Which digit is this?"


def test_the_vision_demo_says_what_is_shown(browser: Browser, seer: Server) -> None:
    """Pasted and dropped, as a browser and a phone have them."""
    shown = [
        ("paste", "#message", "image/webp", written(shapes("circle", "red"), "WEBP"), SHAPE, "A circle."),
        ("drop", "header", "image/avif", written(shapes("star", "green"), "AVIF"), COLOUR, "Green."),
        ("drop", ".composer", "image/jpeg",
         written(digit(7, "blue", (2400, 2400)).rotate(90), "JPEG", exif=ON_ITS_SIDE), DIGIT, "Seven."),
    ]  # fmt: skip
    with opened(browser, seer.url) as page:
        page.get_by_role("button", name="Attach a picture, PDF, Word or text file").wait_for()
        for kind, on, type_, content, question, expected in shown:
            assert page.evaluate(GIVEN, [kind, list(content), type_, on])
            expect(page.locator(".composer .chips img")).to_be_visible()
            say(page, question)
            expect(last_answer(page)).to_contain_text(expected)


SUGGESTED = {
    "What can you do?": (None, "Show me a picture of shapes or a digit."),
    "What is in this picture?": (shapes("circle", "red"), "red circle"),
    "Which digit is this?": (digit(7, "blue"), "Seven."),
}


def test_the_vision_demo_answers_what_could_be_asked(browser: Browser, seer: Server) -> None:
    with opened(browser, seer.url) as page:
        suggested = page.locator(".welcome li")
        expect(suggested.filter(has_text="What can you do?")).to_be_visible()
        assert {text.strip() for text in suggested.all_inner_texts()} == set(SUGGESTED)
        for question, (picture, answer) in SUGGESTED.items():
            page.get_by_role("button", name="New conversation").first.click()
            if picture:
                content = {"name": "x.png", "mimeType": "image/png", "buffer": written(picture, "PNG")}
                page.get_by_label(f"Picture for: {question}").set_input_files(content)
            else:
                suggested.filter(has_text=question).get_by_role("button").click()
            expect(last_answer(page)).to_contain_text(answer)
        page.get_by_role("link", name="Completion").click()
        expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
        expect(page.get_by_role("list", name="Texts to go on with").get_by_role("button")).to_have_count(0)
