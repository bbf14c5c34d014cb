// Conversations that leave the browser as a file, and come back from one.

import { effect, signal } from "@preact/signals";
import { allTurns } from "../chats/store";
import { exported, imported } from "../chats/transfer";
import { byAge } from "../chats/tree";
import type { Chat } from "../chats/types";
import { chats, take } from "./chats";
import { route } from "./route";

interface Told {
  text: string;
  isProblem: boolean;
}

/** What the last import came to, until something else is done. */
export const importTold = signal<Told | null>(null);
effect(() => {
  void route.value;
  importTold.value = null;
});

const MAX_BYTES = 200_000_000;

export async function exportAll(): Promise<void> {
  importTold.value = null;
  await exportThese(chats.value, "loaf-conversations.json");
}

export async function exportOne(one: Chat): Promise<void> {
  const name = one.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  await exportThese([one], `${name || "conversation"}.json`);
}

export async function importFiles(files: File[]): Promise<void> {
  importTold.value = null;
  const problems: string[] = [];
  let [taken, known] = [0, 0];
  for (const file of files) {
    try {
      if (file.size > MAX_BYTES) throw new Error("this file is too large");
      for (const { chat, turns } of imported(await file.text(), file.lastModified)) {
        if (chats.value.some((one) => isSame(one, chat))) known += 1;
        else {
          await take(chat, turns);
          taken += 1;
        }
      }
    } catch (error) {
      problems.push(`${file.name}: ${(error as Error).message}`);
    }
  }
  const text = [...problems, said(taken, known)].filter(Boolean).join(" ");
  importTold.value = text ? { text, isProblem: problems.length > 0 } : null;
}

/** Whether both are one conversation, to which nothing was added since. Ids do not tell: what is imported gets its own. */
function isSame(one: Chat, other: Chat): boolean {
  return (["title", "created", "updated", "system", "schema", "tools"] as const).every((name) => one[name] === other[name]);
}

function said(taken: number, known: number): string {
  const many = (n: number): string => `${n} ${n === 1 ? "conversation" : "conversations"}`;
  if (!known) return taken ? `${many(taken)} imported.` : "";
  if (!taken) return `Nothing imported: ${known === 1 ? "the conversation is" : `all ${known} conversations are`} here already.`;
  return `${many(taken)} imported; ${known} ${known === 1 ? "was" : "were"} here already.`;
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
