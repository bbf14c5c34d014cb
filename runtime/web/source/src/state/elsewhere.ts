// Other tabs in which this page is open: what is being answered there, as far as it has come, and what becomes of the open
// conversation when one of them changes or deletes it.

import { effect, signal } from "@preact/signals";
import { running, stop } from "./answering";
import { chat, isKept, leave, loadChats, path, readAnew, showSoFar } from "./chats";
import { draftIn, drop, goOnWriting, isEdited } from "./drafts";
import { hear, tab, tell, type Told } from "./tabs";

/** The conversations that are being answered in other tabs. */
export const answeredElsewhere = signal<ReadonlySet<string>>(new Set());

const answering = new Map<string, readonly string[]>();

/** From now on tabs hear of each other. What the reader has to know goes to `say`. */
export function joinTabs(say: (what: string) => void): void {
  const report = (): void => tell({ kind: "answering", tab, chats: [...running.peek().keys()] });
  hear((told) => {
    if (told.kind === "joined") report();
    else if (told.kind === "answering") take(told.tab, told.chats);
    else if (told.kind === "coming") showSoFar(told.turn);
    else if (told.kind === "stop") stop(told.chat);
    else void loadChats().then(() => follow(told, say));
  });
  effect(() => {
    running.value;
    report();
  });
  addEventListener("pagehide", () => tell({ kind: "answering", tab, chats: [] }));
  tell({ kind: "joined" });
}

/** Stops the answer to the open conversation, in whatever tab it comes. */
export function stopWherever(): void {
  const { id } = chat.value;
  stop(id);
  if (answeredElsewhere.value.has(id)) tell({ kind: "stop", chat: id });
}

function take(from: string, chats: readonly string[]): void {
  answering.set(from, chats);
  answeredElsewhere.value = new Set([...answering.values()].flat());
}

async function follow(told: Told & { kind: "changed" | "deleted" }, say: (what: string) => void): Promise<void> {
  if (told.chat !== chat.value.id) return;
  if (told.kind === "changed") return readAnew(running.value.has(told.chat) || path.value.some(isEdited));
  if (isKept(chat.value) || chat.value.leaf === null) return;
  stop(told.chat);
  const { text, attachments } = draftIn(told.chat);
  leave();
  goOnWriting({ text, attachments });
  drop(told.chat);
  say("This conversation was deleted in another tab. What you write now begins a new one.");
}
