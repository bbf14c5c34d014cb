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

/** What was written in another place is gone on with in the open conversation, or in `id`. */
export function goOnWriting({ text, attachments = NO_FILES }: Draft, id: string = chat.value.id): void {
  const before = draftIn(id);
  if (!before.text.startsWith(text)) change(id, { text: !before.text || text.startsWith(before.text) ? text : `${before.text}\n${text}` });
  if (attachments.length) change(id, { attachments: [...before.attachments, ...attachments] });
}

/** Whether anything has been written that was not sent. */
export function isWriting(): boolean {
  return [...drafts.value.values()].some((one) => one.text || one.attachments?.length);
}

/** Whether there are attached files, which a reload would take. */
export function hasFiles(): boolean {
  return [...drafts.value.values()].some((one) => one.attachments?.length);
}

function isPair(one: unknown): one is [string, string] {
  return Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string";
}
