// The conversations, the one that is open, and what can be done with them. What changes here is kept at once.

import { computed, effect, signal } from "@preact/signals";
import * as store from "../chats/store";
import { families, leafBelow, pathTo } from "../chats/tree";
import { type Chat, newChat, newId, titleOf, type Turn, type Turns } from "../chats/types";
import { goTo, route } from "./route";
import { tell } from "./tabs";

/** All that are kept, the one that was last written in first. */
export const chats = signal<readonly Chat[]>([]);
/** Whether they have been read. Nothing is asked before that: what is read could not be told from what is new. */
export const isLoaded = signal(false);
/** The one in which nothing was asked yet. It stays until something is, whatever else is opened meanwhile. */
export const unasked = signal<Chat>(newChat());
/** The open one; it is not kept before something was asked in it. */
export const chat = signal<Chat>(unasked.value);
export const turns = signal<Turns>(new Map());
export const path = computed(() => pathTo(turns.value, chat.value.leaf));
const beside = computed(() => families(turns.value));
/** The schema that answers of the open conversation follow, or nothing. */
export const schema = computed(() => chat.value.schema);
/** Whether the address names a conversation that is not open yet. */
export const isComing = computed(() => {
  const at = route.value;
  return at.view === "chat" && at.chat !== null && at.chat !== chat.value.id;
});
/** Why nothing is kept, where the browser does not let us. */
export const unkept = signal("");

export async function loadChats(): Promise<void> {
  await keep(async () => {
    for (;;) {
      const before = chats.value;
      const all = await store.allChats();
      if (chats.value !== before) continue; // what came meanwhile is on its way into the store
      chats.value = all.sort((a, b) => b.updated - a.updated);
      return;
    }
  });
  isLoaded.value = true;
}

/** Shows what the address names, now and whenever it changes. */
export function followRoute(): void {
  effect(() => {
    const at = route.value;
    if (at.view === "chat" && at.chat !== (isKept(chat.peek()) ? chat.peek().id : null)) void open(at.chat);
  });
}

async function open(id: string | null): Promise<void> {
  const found = chats.peek().find((one) => one.id === id);
  if (id && !found) return goTo({ view: "chat", chat: null });
  const kept = found ? await keep(() => store.turnsOf(found.id)) : undefined;
  turns.value = new Map((kept ?? []).map((turn) => [turn.id, turn]));
  chat.value = found ?? unasked.value;
}

/** The turns that stand in the place of `turn`, itself among them, oldest first. */
export function siblings(turn: Turn): readonly Turn[] {
  return beside.value.get(turn.parent) ?? [turn];
}

/** Whether `turn` is the end of the branch that is shown. */
export function isLast(turn: Turn): boolean {
  return path.value.at(-1)?.id === turn.id;
}

export function isKept(one: Chat): boolean {
  return chats.peek().some((other) => other.id === one.id);
}

export function startChat(): void {
  goTo({ view: "chat", chat: null });
  if (chat.value.leaf !== null) leave();
}

/** Shows the conversation in which nothing was asked yet, in the place of one that is gone, say. */
export function leave(): void {
  turns.value = new Map();
  chat.value = unasked.value;
  goTo({ view: "chat", chat: null });
}

/** Shows the open conversation as it is kept by now. `isBusy`: with the same turns as before, as far as these have ended, and
 *  what is new beside them. */
export async function readAnew(isBusy: boolean): Promise<void> {
  const { id } = chat.value;
  for (;;) {
    const before = turns.value;
    const kept = await keep(() => store.turnsOf(id));
    const found = chats.value.find((one) => one.id === id);
    if (!kept || !found || chat.value.id !== id) return;
    if (turns.value !== before) continue; // what came meanwhile is on its way into the store
    turns.value = new Map([...kept.map((turn): [string, Turn] => [turn.id, turn]), ...(isBusy ? [...before].filter(([, turn]) => hasEnded(turn)) : [])]);
    chat.value = isBusy ? { ...found, leaf: chat.value.leaf } : found;
    return;
  }
}

/** Changes the open conversation's title or settings. */
export async function change(fields: Partial<Chat>, one: Chat = chat.value): Promise<void> {
  const changed = { ...one, ...fields };
  if (chat.value.id === changed.id) chat.value = changed;
  if (unasked.value.id === changed.id) unasked.value = changed;
  if (!isKept(changed)) return;
  chats.value = sorted(changed);
  await keep(() => store.putChat(changed));
  tell({ kind: "changed", chat: changed.id });
}

/** Adds `turn` at the end of the branch that is shown; the first one makes the conversation be kept. */
export async function add(turn: Turn): Promise<void> {
  const to = chat.value.id === turn.chat ? chat.value : chats.value.find((one) => one.id === turn.chat);
  if (!to) return; // deleted meanwhile
  const changed = { ...to, leaf: turn.id, updated: Date.now(), title: to.title || titleOf(turn.text || turn.attachments?.[0]?.name || "Conversation") };
  put(turn);
  if (chat.value.id === changed.id) chat.value = changed;
  if (unasked.value.id === changed.id) unasked.value = newChat();
  chats.value = sorted(changed);
  if (chat.value.id === changed.id) goTo({ view: "chat", chat: changed.id });
  await keep(() => store.putWhole(changed, [turn]));
  tell({ kind: "changed", chat: changed.id });
}

/** Replaces a turn by what it has become. */
export async function update(turn: Turn): Promise<void> {
  put(turn);
  await keepSoFar(turn);
  tell({ kind: "changed", chat: turn.chat });
}

/** Keeps what has come of a turn so far. Nothing that is shown changes: an answer that is coming is shown as it comes. */
export async function keepSoFar(turn: Turn): Promise<void> {
  if (!chats.value.some((one) => one.id === turn.chat)) return; // deleted meanwhile
  await keep(() => store.putTurn(turn));
}

/** Shows what has come so far of a turn that is kept elsewhere. */
export function showSoFar(turn: Turn): void {
  if (turns.value.has(turn.id)) put(turn);
}

/** Takes back the last turn of a branch. */
export async function takeBack(turn: Turn): Promise<void> {
  if (chat.value.id === turn.chat) {
    const rest = new Map(turns.value);
    rest.delete(turn.id);
    turns.value = rest;
  }
  const of = chats.value.find((one) => one.id === turn.chat);
  if (of?.leaf === turn.id) await change({ leaf: turn.parent }, of);
  await keep(() => store.dropTurn(turn));
}

/** Shows the branch that `turn` belongs to. */
export async function show(turn: Turn): Promise<void> {
  await change({ leaf: leafBelow(turns.value, turn).id });
}

/** A conversation of its own that goes on from `turn`. */
export async function branch(turn: Turn): Promise<void> {
  const copy: Chat = { ...chat.value, ...{ id: newId(), created: Date.now(), updated: Date.now() } };
  copy.title = `${chat.value.title} (branch)`;
  const ids = new Map<string, string>();
  const copies = pathTo(turns.value, turn.id).map((one) => {
    const id = newId();
    ids.set(one.id, id);
    return { ...one, id, chat: copy.id, parent: one.parent === null ? null : ids.get(one.parent)! };
  });
  copy.leaf = copies.at(-1)!.id;
  await take(copy, copies);
  goTo({ view: "chat", chat: copy.id });
}

/** Takes in a conversation that was made elsewhere. */
export async function take(one: Chat, its: Turn[]): Promise<void> {
  chats.value = sorted(one);
  await keep(() => store.putWhole(one, its));
  tell({ kind: "changed", chat: one.id });
}

/** What is no longer listed is no longer kept: a page that is loaded anew right after does not bring it back. */
export async function remove(one: Chat): Promise<void> {
  await keep(() => store.dropChat(one.id));
  chats.value = chats.value.filter((other) => other.id !== one.id);
  if (chat.value.id === one.id) leave();
  tell({ kind: "deleted", chat: one.id });
}

function hasEnded(turn: Turn): boolean {
  return turn.role !== "assistant" || turn.ending !== undefined;
}

function put(turn: Turn): void {
  if (chat.value.id === turn.chat) turns.value = new Map(turns.value).set(turn.id, turn);
}

function sorted(changed: Chat): Chat[] {
  return [changed, ...chats.value.filter((one) => one.id !== changed.id)].sort((a, b) => b.updated - a.updated);
}

async function keep<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    unkept.value = (error as Error).message;
    return undefined;
  }
}
