// Files as attachments: text is read as UTF-8, pictures are taken where the model sees them.

import type { Attachment } from "../chats/types";
import { isPicture, picture } from "./picture";

const MAX_TEXT_BYTES = 2_000_000;

/** Raises an Error that says why `file` cannot be attached. */
export async function attachmentOf(file: File, seesImages: boolean): Promise<Attachment> {
  if (await isPicture(file)) {
    if (!seesImages) throw new Error("this model does not see pictures");
    return { kind: "image", name: file.name, data: await picture(file) };
  }
  if (file.size > MAX_TEXT_BYTES) throw new Error("it is larger than 2 MB, more than a model can read");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new Error();
    return { kind: "text", name: file.name, data: text };
  } catch {
    throw new Error("it is not a text file");
  }
}
