// What was written and attached, and not sent: for each conversation, and for each message that is being edited. Texts
// outlive a reload; attached files are too large for what a tab remembers.

import { effect, signal } from "@preact/signals";
import type { Attachment, Turn } from "../chats/types";
import { recalled, remember } from "../parts/session";
import { chat, unasked } from "./chats";

export interface Draft {
  text: string;
  /** Absent after a reload. */
  attachments?: readonly Attachment[];
}

/** By the id of the conversation, or of the turn that is edited. */
const drafts = signal<ReadonlyMap<string, Draft>>(new Map());

const NONE: Draft = { text: "" };
const NO_FILES: readonly Attachment[] = [];
const NEW = "new"; // the conversation that nothing was asked in has another id after a reload

/** Takes up what was written before the page was loaded again, and remembers what is written from now on. */
export function keepDrafts(): void {
  const kept = recalled("drafts");
  const found = Array.isArray(kept) ? kept.filter(isPair) : [];
  drafts.value = new Map(found.map(([id, text]) => [id === NEW ? unasked.value.id : id, { text }]));
  effect(() => remember("drafts", [...drafts.value].map(([id, { text }]) => [id === unasked.value.id ? NEW : id, text])));
  effect(() => {
    if (!hasFiles()) return;
    addEventListener("beforeunload", askFirst);
    return () => removeEventListener("beforeunload", askFirst);
  });
}

export function draftIn(id: string, files: readonly Attachment[] = NO_FILES): Required<Draft> {
  return { attachments: files, ...(drafts.value.get(id) ?? NONE) };
}

export function isEdited(turn: Turn): boolean {
  return drafts.value.has(turn.id);
}

export function change(id: string, fields: Partial<Draft>): void {
  drafts.value = new Map(drafts.peek()).set(id, { ...(drafts.peek().get(id) ?? NONE), ...fields });
}

/** It was sent, or is not wanted any more. */
export function drop(id: string): void {
  const rest = new Map(drafts.peek());
  rest.delete(id);
  drafts.value = rest;
}

/** `text` was written in the open conversation before the program was there. */
export function goOnWriting(text: string, id: string = chat.value.id): void {
  const before = draftIn(id).text;
  if (!before.startsWith(text)) change(id, { text: !before || text.startsWith(before) ? text : `${before}\n${text}` });
}

/** Whether anything has been written that was not sent. */
export function isWriting(): boolean {
  return [...drafts.value.values()].some((one) => one.text || one.attachments?.length);
}

function hasFiles(): boolean {
  return [...drafts.value.values()].some((one) => one.attachments?.length);
}

/** The browser asks whether the page is to be left. */
export function askFirst(event: Event): void {
  event.preventDefault();
}

function isPair(one: unknown): one is [string, string] {
  return Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string";
}
