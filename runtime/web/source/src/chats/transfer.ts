// Conversations as a JSON file, out and in again.

import { isObject, list, number, string, wrong } from "./checking";
import { conversationOf, isConversation } from "./messages";
import { type Attachment, type Call, type Chat, newId, type Turn, type Whole } from "./types";

const FORMAT = "loaf-conversations";
const VERSION = 1;

export function exported(wholes: Whole[]): string {
  const conversations = wholes.map(({ chat, turns }) => ({ ...chat, turns }));
  return `${JSON.stringify({ format: FORMAT, version: VERSION, conversations }, null, 1)}\n`;
}

/**
 * The conversations in `text`, under ids of their own: what was exported, or one that a chat in the terminal has saved,
 * which has no time of its own: `written` is the file's. Raises an Error that says what is wrong with it.
 */
export function imported(text: string, written: number): Whole[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("this file is not JSON");
  }
  if (isConversation(file)) return [conversationOf(file, written)];
  if (!isObject(file) || file["format"] !== FORMAT) throw new Error("this file was neither exported from here nor saved in the terminal");
  if (file["version"] !== VERSION) throw new Error(`this file has version ${String(file["version"])}, and ${VERSION} is known here`);
  return list(file["conversations"], "conversations").map(whole);
}

function whole(given: unknown, index: number): Whole {
  const where = `conversations[${index}]`;
  if (!isObject(given)) throw wrong(where);
  const ids = new Map<string, string>();
  const fresh = (id: string): string => ids.get(id) ?? ids.set(id, newId()).get(id)!;
  const chat: Chat = {
    id: newId(),
    title: string(given, "title", where),
    created: number(given, "created", where),
    updated: number(given, "updated", where),
    leaf: given["leaf"] === null ? null : fresh(string(given, "leaf", where)),
    system: string(given, "system", where),
    schema: string(given, "schema", where),
    tools: string(given, "tools", where),
  };
  const turns = list(given["turns"], `${where}.turns`).map((one, i) => turn(one, `${where}.turns[${i}]`, chat.id, fresh));
  return { chat, turns };
}

const ROLES = ["user", "assistant", "tool"] as const;
const ENDINGS = ["complete", "length", "stopped", "lost", "error"] as const;

function turn(given: unknown, where: string, chat: string, fresh: (id: string) => string): Turn {
  if (!isObject(given)) throw wrong(where);
  const role = ROLES.find((one) => one === given["role"]);
  if (!role) throw wrong(`${where}.role`);
  const made: Turn = {
    id: fresh(string(given, "id", where)),
    chat,
    parent: given["parent"] === null ? null : fresh(string(given, "parent", where)),
    role,
    text: string(given, "text", where),
    created: number(given, "created", where),
  };
  for (const name of ["reasoning", "callId", "model", "error"] as const) {
    if (given[name] !== undefined) made[name] = string(given, name, where);
  }
  const ending = ENDINGS.find((one) => one === given["ending"]);
  if (ending) made.ending = ending;
  const overflow = given["overflow"];
  if (isObject(overflow)) made.overflow = { tokens: number(overflow, "tokens", where), context: number(overflow, "context", where) };
  if (given["leftOut"] !== undefined) made.leftOut = number(given, "leftOut", where);
  if (given["attachments"] !== undefined) made.attachments = list(given["attachments"], `${where}.attachments`).map(attachment);
  if (given["calls"] !== undefined) made.calls = list(given["calls"], `${where}.calls`).map(call);
  const stats = given["stats"];
  if (isObject(stats)) {
    made.stats = {
      promptTokens: number(stats, "promptTokens", where),
      cachedTokens: number(stats, "cachedTokens", where),
      answerTokens: number(stats, "answerTokens", where),
      tokensPerSecond: number(stats, "tokensPerSecond", where),
      firstTokenMs: number(stats, "firstTokenMs", where),
    };
  }
  return made;
}

const KINDS = ["text", "image", "audio"] as const;

function attachment(given: unknown): Attachment {
  const kind = isObject(given) && KINDS.find((one) => one === given["kind"]);
  if (!isObject(given) || !kind) throw wrong("attachments");
  const data = string(given, "data", "attachments");
  if (kind !== "text" && !data.startsWith(`data:${kind}/`)) throw wrong("attachments.data");
  return { kind, name: string(given, "name", "attachments"), data };
}

function call(given: unknown): Call {
  if (!isObject(given)) throw wrong("calls");
  return {
    id: string(given, "id", "calls"),
    name: string(given, "name", "calls"),
    arguments: string(given, "arguments", "calls"),
  };
}
