// Whether what is about to be sent has room in the context, as the server counts it; and how much of a conversation has.

import { countTokens } from "../api/chat";
import { ServerError } from "../api/http";
import { pathTo } from "../chats/tree";
import type { Attachment, Turn } from "../chats/types";
import { answer, bodyOf, draftOf, resume } from "./answering";
import { chat, path, turns } from "./chats";
import { contextSize } from "./server";

export interface Fit {
  /** Tokens of the conversation with what would be sent. */
  tokens: number;
  context: number;
}

/** What a prompt may take of the context where turns are left out, so that there is room for the answer and for more. */
const SHARE = 0.75;

/** Null where the server cannot say. */
export async function fitOf(text: string, attachments: readonly Attachment[]): Promise<Fit | null> {
  const body = bodyOf(chat.value, [...path.value, draftOf(text, attachments)]);
  const tokens = await countTokens(body).catch(() => null);
  return tokens === null ? null : { tokens, context: contextSize.value };
}

/** Whether an answer ended, or never began, because the context is full. */
export function isFull({ overflow, ending, stats }: Turn): boolean {
  if (overflow) return true;
  return ending === "length" && stats !== undefined && contextSize.value > 0 && stats.promptTokens + stats.answerTokens >= contextSize.value;
}

/** Has `turn` answered, or goes on with it, from the last turns that have room. False where not even its question has. */
export async function answerWithoutOldest(turn: Turn): Promise<boolean> {
  const end = turn.text ? turn.id : turn.parent;
  if (end === null) return false;
  const leftOut = await oldestWithoutRoom(pathTo(turns.value, end));
  if (leftOut === null) return false;
  await (turn.text ? resume(turn, leftOut) : answer(end, leftOut));
  return true;
}

/** How many turns at the beginning of `before` to leave out, so that the rest begins with a question and has room. */
async function oldestWithoutRoom(before: readonly Turn[]): Promise<number | null> {
  const begins = before.flatMap((turn, i) => (turn.role === "user" && i ? [i] : []));
  const last = begins.at(-1);
  if (last === undefined) return null;
  let [low, high] = [0, begins.length - 1]; // what is looked for lies between them, or is the last one, whatever it takes
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((await tokensWithout(before, begins[middle]!)) <= contextSize.value * SHARE) high = middle;
    else low = middle + 1;
  }
  const found = begins[low]!;
  return found < last || (await tokensWithout(before, last)) < contextSize.value ? found : null;
}

async function tokensWithout(before: readonly Turn[], leftOut: number): Promise<number> {
  return countTokens(bodyOf(chat.value, before, leftOut)).catch((error: Error) => {
    if (error instanceof ServerError) return Infinity; // far too long to be counted
    throw error;
  });
}
