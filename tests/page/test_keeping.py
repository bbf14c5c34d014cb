"""Conversations that the page keeps in the browser: found again, renamed, deleted, taken out and in; and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.browsers import answering, last_answer, opened, say
from support.bundles import Server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page with two conversations: about apples, and about pears."""
    with opened(browser, server.url, before=answering({"content": "It grows on trees."})) as page:
        begin(page, "What of apples?")
        begin(page, "What of pears?")
        yield page


def begin(page: Page, question: str) -> None:
    page.get_by_role("button", name="New conversation").first.click()
    expect(page.locator(".turn")).to_have_count(0)
    say(page, question)
    last_answer(page)


def listed(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Conversations").locator(".chats li > a")


def test_the_newest_is_first_and_all_outlive_a_reload(page: Page) -> None:
    expect(listed(page)).to_have_text(["What of pears?", "What of apples?"])
    page.reload()
    expect(listed(page)).to_have_text(["What of pears?", "What of apples?"])
    expect(page.locator(".turn.user")).to_contain_text("What of pears?")
    listed(page).nth(1).click()
    expect(page.locator(".turn.user")).to_contain_text("What of apples?")
    page.go_back()
    expect(page.locator(".turn.user")).to_contain_text("What of pears?")


def test_search_looks_at_titles_and_into_what_was_said(page: Page) -> None:
    search = page.get_by_role("searchbox")
    search.fill("APPLE")
    expect(listed(page)).to_have_text(["What of apples?"])
    search.fill("on trees")
    expect(listed(page)).to_have_count(2)
    search.fill("nobody said this")
    expect(page.get_by_text("Nothing found.")).to_be_visible()


def test_renamed(page: Page) -> None:
    page.get_by_role("button", name="Rename What of pears?").click()
    page.get_by_role("textbox", name="Name of the conversation").fill("<b>Fruit</b>")
    page.keyboard.press("Enter")
    expect(listed(page)).to_have_text(["<b>Fruit</b>", "What of apples?"])
    page.reload()
    expect(listed(page)).to_have_text(["<b>Fruit</b>", "What of apples?"])


def test_a_name_is_left_alone_by_escape(page: Page) -> None:
    page.get_by_role("button", name="Rename What of pears?").click()
    page.get_by_role("textbox", name="Name of the conversation").fill("x")
    page.keyboard.press("Escape")
    expect(listed(page).first).to_have_text("What of pears?")


RELOADED_AT_ONCE = """() => {
  const keys = IDBIndex.prototype.getAllKeys;
  IDBIndex.prototype.getAllKeys = function (...of) {
    for (let i = 0; i < 3000; i++) this.getAll();
    return keys.apply(this, of);
  };
  const listed = () => document.querySelectorAll(".chats li > a").length;
  const reloadOnce = () => { if (listed() === 1) location.reload(); };
  new MutationObserver(reloadOnce).observe(document.body, { childList: true, subtree: true });
}"""
"""Has deleting take its time, and loads the page anew in the very moment in which one conversation alone is listed."""


def test_deleted_once_that_was_meant(page: Page) -> None:
    page.get_by_role("button", name="Delete What of pears?").click()
    page.get_by_role("button", name="Cancel").click()
    expect(listed(page)).to_have_count(2)
    page.get_by_role("button", name="Delete What of pears?").click()
    page.evaluate(RELOADED_AT_ONCE)
    with page.expect_event("load"):
        page.get_by_role("button", name="Delete", exact=True).click()
    expect(listed(page)).to_have_text(["What of apples?"])
    expect(page.locator(".turn")).to_have_count(0)
    count = "indexedDB.open('loaf')"
    left = f"""() => new Promise(resolve => {{
      const open = {count};
      open.onsuccess = () => {{
        const turns = open.result.transaction('turns').objectStore('turns').getAll();
        turns.onsuccess = () => resolve(turns.result.length);
      }};
    }})"""
    assert page.evaluate(left) == 2, "the turns of the one that is left, and no others"


def test_out_and_in_again(page: Page, browser: Browser, server: Server, tmp_path: Path) -> None:
    """What one browser exports another one shows as it was, and exports the same."""
    first = export(page, tmp_path / "first.json")
    assert [one["title"] for one in first["conversations"]] == ["What of pears?", "What of apples?"]
    assert [turn["text"] for turn in first["conversations"][0]["turns"]] == ["What of pears?", "It grows on trees."]
    with opened(browser, server.url) as other:
        other.get_by_label("Files to import").set_input_files(tmp_path / "first.json")
        expect(listed(other)).to_have_text(["What of pears?", "What of apples?"])
        expect(other.get_by_text("2 conversations imported.")).to_be_visible()
        listed(other).first.click()
        expect(other.get_by_text("2 conversations imported.")).to_have_count(0)
        expect(other.locator(".turn.assistant .markdown")).to_have_text("It grows on trees.")
        again = export(other, tmp_path / "again.json")
        assert without_ids(again) == without_ids(first)
        other.get_by_label("Files to import").set_input_files(tmp_path / "first.json")
        expect(other.get_by_text("Nothing imported: all 2 conversations are here already.")).to_be_visible()
        expect(listed(other)).to_have_count(2)


def test_what_comes_in_while_the_list_is_read_stays_in_it(
    page: Page, browser: Browser, server: Server, tmp_path: Path
) -> None:
    export(page, tmp_path / "first.json")
    with opened(browser, server.url, before=slow_to_list) as other:
        other.get_by_label("Files to import").set_input_files(tmp_path / "first.json")
        expect(listed(other)).to_have_text(["What of pears?", "What of apples?"])
        other.locator("html[data-listed]").wait_for()
        expect(listed(other)).to_have_text(["What of pears?", "What of apples?"])


def slow_to_list(page: Page) -> None:
    """Has the first list of conversations come late, as it was when it was asked for."""
    page.add_init_script("""
      window.listed = 0;
      IDBRequest.prototype.addEventListener = function (kind, then, ...more) {
        const isFirst = kind === "success" && this.source?.name === "chats" && window.listed++ === 0;
        const show = (event) => { then.call(this, event); document.documentElement.dataset.listed = true; };
        const late = (event) => setTimeout(show, 700, event);
        EventTarget.prototype.addEventListener.call(this, kind, isFirst ? late : then, ...more);
      };
    """)


def test_one_alone_is_taken_out(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Settings").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export this conversation").click()
    assert saved.value.suggested_filename == "what-of-pears.json"
    saved.value.save_as(tmp_path / "one.json")
    assert len(json.loads((tmp_path / "one.json").read_text())["conversations"]) == 1


TURN = {"id": "t", "parent": None, "role": "user", "text": "x", "created": 1}
CHAT = {"title": "x", "created": 1, "updated": 1, "leaf": "t", "system": "", "schema": "", "tools": "", "turns": [TURN]}


def file_of(**chat: Any) -> str:
    return json.dumps({"format": "loaf-conversations", "version": 1, "conversations": [CHAT | chat]})


FOREIGN: list[tuple[str, str, str]] = [
    ("no JSON", "hello", "this file is not JSON"),
    ("another program's", '{"conversations": []}', "was neither exported from here nor saved in the terminal"),
    ("an empty list", "[]", "nothing is said in this file"),
    ("a list of something", "[1]", "messages[0] is not"),
    ("messages that are none", '{"messages": {}}', "messages is not"),
    ("a message of nobody", '[{"role": "owner", "content": "x"}]', "messages[0].role is not"),
    ("a text of numbers", '[{"role": "user", "content": 1}]', "messages[0].content is not"),
    ("a part of nothing", '[{"role": "user", "content": [{}]}]', "messages[0].content.text is not"),
    (
        "a sound of any kind",
        """[{"role": "user", "content": [{"input_audio": {"data": "", "format": "x,"}}]}]""",
        "format",
    ),
    ("of tomorrow", '{"format": "loaf-conversations", "version": 2}', "has version 2"),
    ("without conversations", '{"format": "loaf-conversations", "version": 1}', "conversations is not"),
    ("a title of numbers", file_of(title=1), "conversations[0].title is not"),
    ("no turns", file_of(turns=None), "conversations[0].turns is not"),
    ("a turn of nobody", file_of(turns=[TURN | {"role": "system"}]), "turns[0].role is not"),
    (
        "a picture that is a page",
        file_of(turns=[TURN | {"attachments": [{"kind": "image", "name": "x", "data": "data:text/html,x"}]}]),
        "attachments.data is not",
    ),
]


@pytest.mark.parametrize(("text", "told"), [row[1:] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_a_file_that_is_none_of_ours_is_refused(page: Page, text: str, told: str) -> None:
    page.get_by_label("Files to import").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()}
    )
    alert = page.get_by_role("alert").filter(has_text=told)
    expect(alert).to_be_visible()
    expect(listed(page)).to_have_count(2)
    alert.get_by_role("button").click()
    expect(alert).to_have_count(0)


def test_turns_in_a_circle_do_not_hang_it(page: Page) -> None:
    circle = [TURN | {"parent": "u"}, TURN | {"id": "u", "parent": "t"}]
    file = {
        "name": "x.json",
        "mimeType": "application/json",
        "buffer": file_of(turns=circle, title="Circle", updated=9e15).encode(),
    }
    page.get_by_label("Files to import").set_input_files(file)
    page.get_by_role("link", name="Circle").click()
    expect(page.locator(".turn")).to_have_count(2)


def test_the_page_says_who_sees_it(page: Page) -> None:
    expect(page.locator(".privacy")).to_contain_text(
        "Nothing leaves this machine. Conversations are kept in this browser only."
    )


def test_two_tabs_see_the_same(page: Page) -> None:
    other = page.context.new_page()
    other.goto(page.url)
    expect(listed(other)).to_have_count(2)
    page.get_by_role("button", name="Rename What of apples?").click()
    page.get_by_role("textbox", name="Name of the conversation").fill("Renamed")
    page.keyboard.press("Enter")
    expect(listed(other)).to_have_text(["What of pears?", "Renamed"])


# -- settings -------------------------------------------------------------------------------------------------


def test_a_system_prompt_belongs_to_its_conversation(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.get_by_role("button", name="Close the settings").click()
    say(page, "And plums?")
    last_answer(page)
    assert asked(page)["messages"][0] == {"role": "system", "content": "Be brief."}
    page.reload()
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Be brief.")
    page.keyboard.press("Escape")
    begin(page, "Another?")
    assert asked(page)["messages"] == [{"role": "user", "content": "Another?"}]


def test_sampling_is_explained_and_goes_along(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    temperature = page.get_by_role("spinbutton", name="Temperature")
    expect(temperature).to_have_attribute("placeholder", "default: 0.8")
    expect(temperature).to_have_accessible_description(
        "How much chance plays in. At 0 the likeliest token is always taken; above 1 answers begin to wander."
    )
    temperature.fill("0")
    page.get_by_text("More sampling").click()
    page.get_by_role("spinbutton", name="Seed").fill("42")
    page.get_by_role("spinbutton", name="Top P").fill("7")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    begin(page, "Go")
    assert {"temperature": 0, "seed": 42}.items() <= asked(page).items()
    assert "top_p" not in asked(page), "7 is no probability"
    page.reload()
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Back to the default sampling").click()
    page.keyboard.press("Escape")
    begin(page, "Go")
    assert not {"temperature", "seed"} & asked(page).keys()


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("Temperature", "-1", "-1 is not used: it can be a number from 0 to 5."),
        ("Max tokens", "0", "0 is not used: it can be a whole number from -1 to 1,000,000, but not 0"),
        ("Max tokens", "1.5", "1.5 is not used"),
        ("Temperature", "0.33", ""),
    ],
)
def test_a_number_that_cannot_be_is_told_and_stays(page: Page, field: str, text: str, told: str) -> None:
    page.get_by_role("button", name="Settings").click()
    number = page.get_by_role("spinbutton", name=field)
    number.fill(text)
    page.keyboard.press("Tab")
    problems = page.locator(".field.number .problem").filter(has_text="is not used")
    if told:
        expect(problems).to_contain_text([told])
    else:
        expect(problems).to_have_count(0)
    expect(number).to_have_value(text)
    page.get_by_role("button", name="Back to the default sampling").click()
    expect(number).to_have_value("")


def asked(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.asked[-1]  # type: ignore[attr-defined]
    return found


def export(page: Page, path: Path) -> Any:
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export", exact=True).click()
    saved.value.save_as(path)
    return json.loads(path.read_text())


def without_ids(file: Any) -> Any:
    """The same, with ids as numbers in the order of their coming."""
    text, ids = json.dumps(file), {}
    for one in file["conversations"]:
        for id_ in (one["id"], *(turn["id"] for turn in one["turns"])):
            ids[id_] = str(len(ids))
    for id_, number in ids.items():
        text = text.replace(id_, number)
    return json.loads(text)
