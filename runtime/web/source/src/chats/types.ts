// What a conversation is: turns that hang on each other, of which one way down is shown.

import type { Stats } from "../api/timings";

export interface Attachment {
  kind: "text" | "image" | "audio";
  name: string;
  /** The text of a text file; the `data:` URL of an image or a sound. */
  data: string;
}

export interface Call {
  id: string;
  name: string;
  /** JSON, as far as it has come. */
  arguments: string;
}

/** Why an answer ended. `stopped` by the reader; `lost` with the server; absent while it comes, and where the page was left meanwhile. */
export type Ending = "complete" | "length" | "stopped" | "lost" | "error";

export interface Overflow {
  tokens: number;
  context: number;
}

export interface Turn {
  id: string;
  chat: string;
  /** The turn before this one, null for the first. Several turns may name the same one: branches. */
  parent: string | null;
  role: "user" | "assistant" | "tool";
  text: string;
  created: number;
  attachments?: Attachment[];
  reasoning?: string;
  calls?: Call[];
  /** In a tool's turn: the call that it is the result of. */
  callId?: string;
  model?: string;
  stats?: Stats;
  ending?: Ending;
  error?: string;
  /** Where it failed for want of room: tokens of the conversation, and of the context. */
  overflow?: Overflow;
  /** So many of the conversation's first turns were not given to the model, nor are they later on: they have no room. */
  leftOut?: number;
}

export interface Chat {
  id: string;
  title: string;
  created: number;
  updated: number;
  /** The last turn of the branch that is shown. */
  leaf: string | null;
  system: string;
  /** A JSON schema that answers follow, or nothing. */
  schema: string;
  /** Functions that the model may call, as JSON, or nothing. */
  tools: string;
}

/** A conversation with all its turns. */
export interface Whole {
  chat: Chat;
  turns: Turn[];
}

export type Turns = ReadonlyMap<string, Turn>;

export function newId(): string {
  // randomUUID is there for pages of HTTPS and of this machine only.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newChat(settings: Partial<Chat> = {}): Chat {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, leaf: null, system: "", schema: "", tools: "", ...settings };
}

const TITLE_LENGTH = 60;

/** What a conversation is called that begins with `text`. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0]!;
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH).trimEnd()}…` : line;
}
