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
  /** An edit that was left, and can be gone on with. */
  isPutAway?: boolean;
}

/** By the id of the conversation, or of the turn that is edited. */
const drafts = signal<ReadonlyMap<string, Draft>>(new Map());

const NONE: Draft = { text: "" };
const NO_FILES: readonly Attachment[] = [];
const NEW = "new"; // the conversation that nothing was asked in has another id after a reload

/** Takes up what was written before the page was loaded again, and remembers what is written from now on. */
export function keepDrafts(): void {
  const kept = recalled("drafts");
  const found = Array.isArray(kept) ? kept.filter(isDraft) : [];
  drafts.value = new Map(found.map(([id, text, isPutAway]) => [id === NEW ? unasked.value.id : id, { text, isPutAway }]));
  effect(() => remember("drafts", [...drafts.value].map(([id, { text, isPutAway = false }]) => [id === unasked.value.id ? NEW : id, text, isPutAway])));
}

export function draftIn(id: string, files: readonly Attachment[] = NO_FILES): Draft & { attachments: readonly Attachment[] } {
  return { attachments: files, ...(drafts.value.get(id) ?? NONE) };
}

export function isEdited(turn: Turn): boolean {
  return drafts.value.get(turn.id)?.isPutAway === false;
}

export function isPutAway(turn: Turn): boolean {
  return drafts.value.get(turn.id)?.isPutAway === true;
}

/** Edits `turn`, from where it was left. */
export function edit(turn: Turn): void {
  change(turn.id, { text: turn.text, attachments: turn.attachments ?? NO_FILES, ...drafts.peek().get(turn.id), isPutAway: false });
}

/** Leaves the edit of `turn`. What was changed in it can be gone on with. */
export function putAway(turn: Turn): void {
  const { text, attachments } = draftIn(turn.id, turn.attachments);
  const before = turn.attachments ?? NO_FILES;
  const isSame = text === turn.text && attachments.length === before.length && attachments.every((one, i) => one === before[i]);
  if (isSame) drop(turn.id);
  else change(turn.id, { isPutAway: true });
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
  return [...drafts.value.values()].some((one) => one.attachments?.length && !one.isPutAway);
}

function isDraft(one: unknown): one is [string, string, boolean] {
  return Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string" && typeof one[2] === "boolean";
}
