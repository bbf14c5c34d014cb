// The text of a Word document (.docx), as mammoth reads it: headings, lists and tables stay what they are.

import mammoth from "mammoth";
import { textOfHtml } from "./html";

/** Raises an Error that says what is wrong with it. */
export async function textOfWord(bytes: ArrayBuffer): Promise<string> {
  const noPictures = mammoth.images.imgElement(() => Promise.resolve({ src: "" }));
  let html: string;
  try {
    html = (await mammoth.convertToHtml({ arrayBuffer: bytes }, { convertImage: noPictures, externalFileAccess: false })).value;
  } catch {
    throw new Error("it cannot be read as a Word document");
  }
  const text = textOfHtml(html);
  if (!text) throw new Error("it has no text");
  return text;
}
