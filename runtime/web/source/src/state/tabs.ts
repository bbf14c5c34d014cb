// What the tabs in which this page is open tell each other. Refuses to know what they make of it.

import { newId, type Turn } from "../chats/types";

export type Told =
  | { kind: "changed" | "deleted"; chat: string }
  /** All that are being answered in a tab. */
  | { kind: "answering"; tab: string; chats: readonly string[] }
  /** What has come of an answer so far. */
  | { kind: "coming"; turn: Turn }
  /** The tab in which it is being answered is to stop. */
  | { kind: "stop"; chat: string }
  /** A tab is new, and is to be told what is being answered. */
  | { kind: "joined" };

const others = new BroadcastChannel("loaf");

/** The name of this one. */
export const tab = newId();

export function tell(what: Told): void {
  others.postMessage(what);
}

export function hear(listener: (told: Told) => void): void {
  others.onmessage = (event: MessageEvent<Told>) => listener(event.data);
}
