// Whether what is about to be sent has room in the context, as the server counts it.

import { countTokens } from "../api/chat";
import type { Attachment } from "../chats/types";
import { bodyOf, draftOf } from "./answering";
import { chat, path } from "./chats";
import { contextSize } from "./server";

export interface Fit {
  /** Tokens of the conversation with what would be sent. */
  tokens: number;
  context: number;
}

/** Null where the server cannot say. */
export async function fitOf(text: string, attachments: readonly Attachment[]): Promise<Fit | null> {
  const body = bodyOf(chat.value, [...path.value, draftOf(text, attachments)]);
  const tokens = await countTokens(body).catch(() => null);
  return tokens === null ? null : { tokens, context: contextSize.value };
}
