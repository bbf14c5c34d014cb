// Conversations in the browser's IndexedDB: they are nowhere else.

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
  await (await database()).put("chats", chat);
}

export async function putTurn(turn: Turn): Promise<void> {
  await (await database()).put("turns", turn);
}

export async function dropTurn(turn: Turn): Promise<void> {
  await (await database()).delete("turns", turn.id);
}

/** A conversation with all its turns, or nothing of it. */
export async function putWhole(chat: Chat, turns: Iterable<Turn>): Promise<void> {
  const change = (await database()).transaction(["chats", "turns"], "readwrite");
  await Promise.all([
    change.objectStore("chats").put(chat),
    ...Array.from(turns, (turn) => change.objectStore("turns").put(turn)),
    change.done,
  ]);
}

export async function dropChat(id: string): Promise<void> {
  const change = (await database()).transaction(["chats", "turns"], "readwrite");
  const keys = await change.objectStore("turns").index("chat").getAllKeys(id);
  await Promise.all([
    change.objectStore("chats").delete(id),
    ...keys.map((key) => change.objectStore("turns").delete(key)),
    change.done,
  ]);
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
