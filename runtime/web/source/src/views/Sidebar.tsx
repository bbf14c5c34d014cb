// The conversations: found, opened, renamed, deleted, taken out as a file and in again.

import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { search } from "../chats/store";
import type { Chat } from "../chats/types";
import { running, stop } from "../state/answering";
import { change, chat, chats, isLoaded, remove, startChat, unkept } from "../state/chats";
import { exportAll, importFiles, importProblem } from "../state/files";
import { isListOpen } from "../state/layout";
import { goTo, route } from "../state/route";
import { Icon, Loaf } from "../parts/Icon";
import { focusMessage } from "../parts/keyboard";
import { confirmed } from "./Confirm";
import { openShortcuts } from "./Shortcuts";

const words = signal("");
/** The conversations in whose text the words occur. */
const found = signal<ReadonlySet<string>>(new Set());

export function focusSearch(): void {
  isListOpen.value = true;
  requestAnimationFrame(() => document.getElementById("search")?.focus());
}

export function Sidebar() {
  return (
    <>
      <div class={`shade${isListOpen.value ? " open" : ""}`} onClick={() => (isListOpen.value = false)} />
      <nav class={`sidebar${isListOpen.value ? " open" : ""}`} aria-label="Conversations">
        <div class="brand">
          <Loaf />
          <strong>loaf</strong>
          <button type="button" class="quiet icon narrow" aria-label="Close the list" onClick={() => (isListOpen.value = false)}>
            <Icon name="close" />
          </button>
        </div>
        <button type="button" class="new" onClick={start} title="Alt+N">
          <Icon name="plus" /> New conversation
        </button>
        <CompletionLink />
        <Search />
        <List />
        <Footer />
      </nav>
    </>
  );
}

function start(): void {
  startChat();
  isListOpen.value = false;
  document.getElementById("message")?.focus();
}

function CompletionLink() {
  const go = (event: Event): void => {
    event.preventDefault();
    goTo({ view: "completion" });
    isListOpen.value = false;
  };
  return (
    <a class="completion" href="#completion" aria-current={route.value.view === "completion" ? "page" : undefined} onClick={go}>
      <Icon name="probe" /> Completion
    </a>
  );
}

function Search() {
  useEffect(() => {
    const wanted = words.value.trim();
    if (!wanted) return void (found.value = new Set());
    let isWanted = true;
    void search(wanted).then((ids) => isWanted && (found.value = ids), () => undefined);
    return () => {
      isWanted = false;
    };
  }, [words.value, chats.value]);
  return (
    <label class="search">
      <Icon name="search" />
      <input id="search" type="search" placeholder="Search" aria-label="Search conversations" title="Ctrl+K" value={words} onInput={(event) => (words.value = event.currentTarget.value)} />
    </label>
  );
}

function List() {
  const wanted = words.value.trim().toLowerCase();
  const shown = wanted ? chats.value.filter((one) => one.title.toLowerCase().includes(wanted) || found.value.has(one.id)) : chats.value;
  if (!shown.length) return <p class="none">{isLoaded.value && (wanted ? "Nothing found." : "No conversations yet.")}</p>;
  return (
    <div class="chats">
      {grouped(shown).map(([age, group]) => (
        <section key={age} aria-label={age}>
          <h2>{age}</h2>
          <ul>{group.map((one) => <Entry key={one.id} one={one} />)}</ul>
        </section>
      ))}
    </div>
  );
}

function Entry({ one }: { one: Chat }) {
  const isNaming = useSignal(false);
  const rename = useRef<HTMLButtonElement>(null);
  const endNaming = (byKey: boolean): void => {
    isNaming.value = false;
    if (byKey) requestAnimationFrame(() => rename.current?.focus());
  };
  const isOpen = route.value.view === "chat" && chat.value.id === one.id;
  const open = (event: Event): void => {
    event.preventDefault();
    goTo({ view: "chat", chat: one.id });
    isListOpen.value = false;
  };
  if (isNaming.value) return <li><Naming one={one} onEnd={endNaming} /></li>;
  return (
    <li class={isOpen ? "open" : undefined}>
      <a href={`#chat/${one.id}`} aria-current={isOpen ? "page" : undefined} onClick={open} title={one.title}>
        {one.title}
        {running.value.has(one.id) && <span class="busy" aria-label="answering" />}
      </a>
      <span class="tools">
        <button ref={rename} type="button" class="quiet icon" title="Rename" aria-label={`Rename ${one.title}`} onClick={() => (isNaming.value = true)}>
          <Icon name="edit" />
        </button>
        <button type="button" class="quiet icon" title="Delete" aria-label={`Delete ${one.title}`} onClick={(event) => void askAndRemove(one, event.currentTarget.closest("li")!)}>
          <Icon name="trash" />
        </button>
      </span>
    </li>
  );
}

function Naming({ one, onEnd }: { one: Chat; onEnd: (byKey: boolean) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current!.select(), []);
  const isOver = useRef(false); // a field that goes away loses the focus once more
  const end = (title: string, byKey: boolean): void => {
    if (isOver.current) return;
    isOver.current = true;
    if (title && title !== one.title) void change({ title }, one);
    onEnd(byKey);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter") end(field.current!.value.trim(), true);
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end("", true);
  };
  return <input ref={field} class="naming" aria-label="Name of the conversation" maxLength={200} defaultValue={one.title} onKeyDown={onKey} onBlur={(event) => end(event.currentTarget.value.trim(), false)} />;
}

/** The focus goes from `row` to the next one, or to where one goes on without. */
async function askAndRemove(one: Chat, row: HTMLLIElement): Promise<void> {
  if (!(await confirmed("Delete this conversation?", `${one.title}\nIt is kept nowhere else.`, "Delete"))) return;
  const next = row.nextElementSibling ?? row.previousElementSibling;
  stop(one.id);
  await remove(one);
  const link = next?.querySelector("a");
  if (link) link.focus();
  else focusMessage();
}

function Footer() {
  const picker = useRef<HTMLInputElement>(null);
  const take = async (): Promise<void> => {
    const files = Array.from(picker.current!.files ?? []);
    picker.current!.value = "";
    await importFiles(files);
  };
  return (
    <footer>
      {unkept.value && <p class="problem" role="alert">This browser keeps no conversations: {unkept.value}</p>}
      {importProblem.value && <p class="problem" role="alert">{importProblem.value}</p>}
      <div class="row">
        <button type="button" class="quiet" onClick={() => picker.current!.click()}><Icon name="import" /> Import</button>
        <button type="button" class="quiet" disabled={!chats.value.length} onClick={() => void exportAll()}><Icon name="export" /> Export</button>
        <button type="button" class="quiet icon" title="Shortcuts (?)" aria-label="Shortcuts" onClick={openShortcuts}><Icon name="help" /></button>
        <input ref={picker} type="file" accept="application/json,.json" multiple hidden aria-label="Files to import" onChange={() => void take()} />
      </div>
      <p class="privacy"><Icon name="shield" /> <span>{privacy()}</span></p>
    </footer>
  );
}

function privacy(): string {
  const isHere = /^(localhost|127\.[\d.]+|\[::1\]|.*\.localhost)$/.test(location.hostname);
  return isHere
    ? "Nothing leaves this machine. Conversations are kept in this browser only."
    : `What you write goes to ${location.host} and nowhere else. Conversations are kept in this browser only.`;
}

const DAY_MS = 24 * 3600 * 1000;

function grouped(all: readonly Chat[]): [string, Chat[]][] {
  const today = new Date().setHours(0, 0, 0, 0);
  const groups = new Map<string, Chat[]>();
  for (const one of all) {
    const days = Math.ceil((today - one.updated) / DAY_MS);
    const age = days <= 0 ? "Today" : days === 1 ? "Yesterday" : days <= 7 ? "Last 7 days" : days <= 30 ? "Last 30 days" : "Older";
    groups.set(age, [...(groups.get(age) ?? []), one]);
  }
  return [...groups];
}
