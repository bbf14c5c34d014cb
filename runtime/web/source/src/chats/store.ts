// Conversations in the browser's IndexedDB: they are nowhere else. What only writes says so at once (`commit`): a page that is
// left or loaded anew aborts what it has not yet committed.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Chat, Turn } from "./types";

interface Schema extends DBSchema {
  chats: { key: string; value: Chat };
  turns: { key: string; value: Turn; indexes: { chat: string } };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("loaf", 1, {
    upgrade(db) {
      db.createObjectStore("chats", { keyPath: "id" });
      db.createObjectStore("turns", { keyPath: "id" }).createIndex("chat", "chat");
    },
  });
  return opened;
}

export async function allChats(): Promise<Chat[]> {
  return (await database()).getAll("chats");
}

export async function turnsOf(chat: string): Promise<Turn[]> {
  return (await database()).getAllFromIndex("turns", "chat", chat);
}

export async function allTurns(): Promise<Turn[]> {
  return (await database()).getAll("turns");
}

export async function putChat(chat: Chat): Promise<void> {
  const change = (await database()).transaction("chats", "readwrite");
  await written(change, [change.store.put(chat)]);
}

/** A turn of a conversation that is kept; of one that was deleted meanwhile nothing stays. */
export async function putTurn(turn: Turn): Promise<void> {
  const change = (await database()).transaction(["chats", "turns"], "readwrite");
  const isThere = (await change.objectStore("chats").count(turn.chat)) > 0;
  await written(change, isThere ? [change.objectStore("turns").put(turn)] : []);
}

export async function dropTurn(turn: Turn): Promise<void> {
  const change = (await database()).transaction("turns", "readwrite");
  await written(change, [change.store.delete(turn.id)]);
}

/** A conversation with all its turns, or nothing of it. */
export async function putWhole(chat: Chat, turns: Iterable<Turn>): Promise<void> {
  const change = (await database()).transaction(["chats", "turns"], "readwrite");
  const puts = Array.from(turns, (turn) => change.objectStore("turns").put(turn));
  await written(change, [change.objectStore("chats").put(chat), ...puts]);
}

export async function dropChat(id: string): Promise<void> {
  const change = (await database()).transaction(["chats", "turns"], "readwrite");
  const keys = await change.objectStore("turns").index("chat").getAllKeys(id);
  const drops = keys.map((key) => change.objectStore("turns").delete(key));
  await written(change, [change.objectStore("chats").delete(id), ...drops]);
}

async function written(change: { commit(): void; done: Promise<void> }, requests: Promise<unknown>[]): Promise<void> {
  change.commit();
  await Promise.all([...requests, change.done]);
}

/** The ids of the conversations in which `words` occur, whatever their case. */
export async function search(words: string): Promise<Set<string>> {
  const wanted = words.toLowerCase();
  const found = new Set<string>();
  const store = (await database()).transaction("turns").store;
  for (let at = await store.openCursor(); at; at = await at.continue()) {
    if (at.value.text.toLowerCase().includes(wanted)) found.add(at.value.chat);
  }
  return found;
}
