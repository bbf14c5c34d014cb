// Turns as the messages of a request.

import type { ApiMessage, Part } from "../api/chat";
import type { Attachment, Turn } from "../chats/types";

/** All of `path` but what was left out for want of room, at least its first `leftOut` turns. */
export function messagesOf(system: string, path: readonly Turn[], leftOut = 0): ApiMessage[] {
  const begin = Math.max(leftOut, ...path.map((turn) => turn.leftOut ?? 0));
  const messages = withoutRefused(path.slice(begin)).filter(saysSomething).map(messageOf);
  return system.trim() ? [{ role: "system", content: system.trim() }, ...messages] : messages;
}

/** Whether nothing came of an answer, not even a thought. */
export function isEmpty(turn: Turn): boolean {
  return !turn.text && !turn.reasoning && !turn.calls;
}

/** Without the questions that were refused, as those that have no room: what follows them would be refused for them, too. */
function withoutRefused(path: readonly Turn[]): Turn[] {
  const kept: Turn[] = [];
  for (const turn of path) {
    if (turn.ending !== "error" || !isEmpty(turn)) kept.push(turn);
    else kept.length = Math.max(0, kept.findLastIndex((one) => one.role === "user"));
  }
  return kept;
}

/** Templates want no empty answers: those that failed before a word came are left out. */
function saysSomething(turn: Turn): boolean {
  return turn.role !== "assistant" || Boolean(turn.text || turn.calls);
}

function messageOf(turn: Turn): ApiMessage {
  if (turn.role === "tool") return { role: "tool", content: turn.text, tool_call_id: turn.callId ?? "" };
  if (turn.role === "user") return { role: "user", content: contentOf(turn.text, turn.attachments ?? []) };
  const message: ApiMessage = { role: "assistant", content: turn.text };
  if (turn.calls) {
    message.tool_calls = turn.calls.map(({ id, name, arguments: json }) => ({ id, type: "function", function: { name, arguments: json } }));
    if (turn.reasoning) message.reasoning_content = turn.reasoning;
  }
  return message;
}

function contentOf(text: string, attachments: Attachment[]): string | Part[] {
  const files = attachments.filter((one) => one.kind === "text").map((one) => `${one.name}:\n${fenced(one.data)}`);
  const whole = [...files, text].filter(Boolean).join("\n\n");
  const shown = attachments.filter((one) => one.kind !== "text").map(partOf);
  if (!shown.length) return whole;
  return whole ? [...shown, { type: "text", text: whole }] : shown;
}

function partOf({ kind, data }: Attachment): Part {
  if (kind === "image") return { type: "image_url", image_url: { url: data } };
  const [header, content] = data.split(",", 2) as [string, string];
  const format = /^data:audio\/([\w-]+)/.exec(header)?.[1] ?? "";
  return { type: "input_audio", input_audio: { data: content, format: format === "mpeg" ? "mp3" : format } };
}

/** `text` between fences that are longer than any in it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`{3,}/g), (found) => found[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
}
