// Files as attachments: each kind has a reader of its own, which is loaded when the first of it comes.

import type { Attachment } from "../chats/types";
import { isPicture, picture } from "./picture";
import { plainText } from "./plain";
import { isSound, sound } from "./sound";

type Reader = (bytes: ArrayBuffer) => Promise<string>;

interface Kind {
  endings: RegExp;
  types: readonly string[];
  reader: () => Promise<Reader>;
}

const KINDS: readonly Kind[] = [
  { endings: /\.pdf$/i, types: ["application/pdf"], reader: async () => (await import("./pdf")).textOfPdf },
  {
    endings: /\.docx$/i,
    types: ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    reader: async () => (await import("./word")).textOfWord,
  },
  { endings: /\.x?html?$/i, types: ["text/html", "application/xhtml+xml"], reader: async () => (await import("./html")).textOfPage },
];

/** Whose readers there are none of, and what becomes one that is. */
const OTHERS: readonly [RegExp, string][] = [
  [/\.(doc|odt|rtf|pages)$/i, "save it as .docx, .pdf or text"],
  [/\.(xlsx?|ods|numbers)$/i, "save it as .csv"],
  [/\.(pptx?|odp|key)$/i, "save it as .pdf"],
  [/\.(zip|gz|xz|7z|tar)$/i, "unpack it and attach what is inside"],
];

const MAX_TEXT_BYTES = 2_000_000;
const MAX_FILE_BYTES = 50_000_000;

/** What the model takes besides text. */
export interface Senses {
  sees: boolean;
  hears: boolean;
}

/** Raises an Error that says why `file` cannot be attached. */
export async function attachmentOf(file: File, { sees, hears }: Senses): Promise<Attachment> {
  if (isSound(file)) {
    if (!hears) throw new Error("this model does not hear sounds");
    return { kind: "audio", name: file.name, data: await sound(file) };
  }
  if (await isPicture(file)) {
    if (!sees) throw new Error("this model does not see pictures");
    return { kind: "image", name: file.name, data: await picture(file) };
  }
  return { kind: "text", name: file.name, data: await textOf(file) };
}

async function textOf(file: File): Promise<string> {
  const kind = KINDS.find(({ endings, types }) => endings.test(file.name) || types.includes(file.type));
  if (!kind) {
    const way = OTHERS.find(([endings]) => endings.test(file.name))?.[1];
    if (way) throw new Error(`it is not a text file: ${way}`);
    if (file.size > MAX_TEXT_BYTES) throw new Error("it is larger than 2 MB, more than a model can read");
    return plainText(await file.arrayBuffer());
  }
  if (file.size > MAX_FILE_BYTES) throw new Error("it is larger than 50 MB");
  const read = await kind.reader();
  const text = (await read(await file.arrayBuffer())).trim();
  if (text.length > MAX_TEXT_BYTES) throw new Error("its text is longer than 2 million characters, more than a model can read");
  return text;
}
