// Conversations in the form of OpenAI's chat completions, as the chat in the terminal saves them (docs/chat.md): in.

import { isObject, type Json, list, string, wrong } from "./checking";
import { type Attachment, type Call, newChat, newId, titleOf, type Turn, type Whole } from "./types";

/** Whether `file` is meant to be one: `{"messages": […]}`, or the list alone. */
export function isConversation(file: unknown): file is Json | unknown[] {
  return Array.isArray(file) || (isObject(file) && file["messages"] !== undefined);
}

/** One conversation, of a single branch, as of the time `written`. Raises an Error that says what is wrong with it. */
export function conversationOf(file: Json | unknown[], written: number): Whole {
  const chat = newChat({ created: written, updated: written });
  const turns: Turn[] = [];
  list(Array.isArray(file) ? file : file["messages"], "messages").forEach((message, i) => {
    const where = `messages[${i}]`;
    if (!isObject(message)) throw wrong(where);
    const role = message["role"];
    if ((role === "system" || role === "developer") && i === 0) chat.system = contentOf(message["content"], where).text;
    else turns.push({ ...turnOf(message, role, where), chat: chat.id, parent: turns.at(-1)?.id ?? null, created: written + i });
  });
  if (!turns.length) throw new Error("nothing is said in this file");
  chat.leaf = turns.at(-1)!.id;
  chat.title = titleOf(turns.find((turn) => turn.role === "user" && turn.text)?.text ?? "Imported");
  return { chat, turns };
}

type Said = Omit<Turn, "chat" | "parent" | "created">;

function turnOf(message: Json, role: unknown, where: string): Said {
  const said = { id: newId(), ...contentOf(message["content"], where) };
  if (role === "user") return { role, ...said };
  if (role === "tool") return { role, ...said, callId: string(message, "tool_call_id", where) };
  if (role !== "assistant") throw wrong(`${where}.role`);
  const made: Said = { role, ...said, ending: "complete" };
  if (typeof message["reasoning_content"] === "string") made.reasoning = message["reasoning_content"];
  if (message["tool_calls"] !== undefined) made.calls = list(message["tool_calls"], `${where}.tool_calls`).map((one) => callOf(one, where));
  return made;
}

function callOf(given: unknown, where: string): Call {
  const called = isObject(given) ? given["function"] : undefined;
  if (!isObject(given) || !isObject(called)) throw wrong(`${where}.tool_calls`);
  return { id: string(given, "id", where), name: string(called, "name", where), arguments: string(called, "arguments", where) };
}

/** The text, a line for each part that is one, and what is shown or played beside it. */
function contentOf(content: unknown, where: string): Pick<Turn, "text" | "attachments"> {
  if (content === undefined || content === null) return { text: "" };
  if (typeof content === "string") return { text: content };
  const texts: string[] = [];
  const attachments: Attachment[] = [];
  for (const part of list(content, `${where}.content`)) {
    const one = partOf(part, `${where}.content`, attachments.length + 1);
    if (typeof one === "string") texts.push(one.trim());
    else attachments.push(one);
  }
  const text = texts.filter(Boolean).join("\n");
  return attachments.length ? { text, attachments } : { text };
}

/** A picture that is not in the file, but somewhere else, is its address: nothing is fetched. */
function partOf(part: unknown, where: string, number: number): string | Attachment {
  if (!isObject(part)) throw wrong(where);
  const [shown, played] = [part["image_url"], part["input_audio"]];
  if (isObject(shown)) {
    const url = string(shown, "url", where);
    return url.startsWith("data:image/") ? { kind: "image", name: `Picture ${number}`, data: url } : url;
  }
  if (!isObject(played)) return string(part, "text", where);
  const format = string(played, "format", where);
  if (!/^[\w-]+$/.test(format)) throw wrong(`${where}.format`);
  const data = `data:audio/${format === "mp3" ? "mpeg" : format};base64,${string(played, "data", where)}`;
  return { kind: "audio", name: `Sound ${number}`, data };
}
