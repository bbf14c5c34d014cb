// Conversations that leave the browser as a file, and come back from one.

import { signal } from "@preact/signals";
import { allTurns } from "../chats/store";
import { exported, imported } from "../chats/transfer";
import { byAge } from "../chats/tree";
import type { Chat } from "../chats/types";
import { chats, take } from "./chats";

export const importProblem = signal("");

const MAX_BYTES = 200_000_000;

export async function exportAll(): Promise<void> {
  await exportThese(chats.value, "loaf-conversations.json");
}

export async function exportOne(one: Chat): Promise<void> {
  const name = one.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  await exportThese([one], `${name || "conversation"}.json`);
}

export async function importFiles(files: File[]): Promise<void> {
  importProblem.value = "";
  for (const file of files) {
    try {
      if (file.size > MAX_BYTES) throw new Error("this file is too large");
      for (const { chat, turns } of imported(await file.text())) await take(chat, turns);
    } catch (error) {
      importProblem.value = `${file.name}: ${(error as Error).message}`;
    }
  }
}

async function exportThese(these: readonly Chat[], name: string): Promise<void> {
  const turns = await allTurns();
  const wholes = these.map((chat) => ({ chat, turns: turns.filter((turn) => turn.chat === chat.id).sort(byAge) }));
  save(new Blob([exported(wholes)], { type: "application/json" }), name);
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
