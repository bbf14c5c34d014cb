// The text of a PDF, page by page, as pdf.js reads it.
//
// It works in the page itself: a worker is made of an address, which the page's policy takes for code (Trusted Types).

import { getDocument, VerbosityLevel } from "pdfjs-dist/legacy/build/pdf.mjs";
import * as worker from "pdfjs-dist/legacy/build/pdf.worker.mjs";

(globalThis as { pdfjsWorker?: unknown }).pdfjsWorker = worker; // where pdf.js looks for one before it makes one

/** Beyond what any model can read. */
const MAX_CHARACTERS = 2_000_001;

/** Raises an Error that says what is wrong with it. */
export async function textOfPdf(bytes: ArrayBuffer): Promise<string> {
  const loading = getDocument({ data: bytes, verbosity: VerbosityLevel.ERRORS, disableFontFace: true, useSystemFonts: false, useWorkerFetch: false });
  const pages: string[] = [];
  try {
    const pdf = await loading.promise;
    for (let number = 1, length = 0; number <= pdf.numPages && length < MAX_CHARACTERS; number += 1) {
      const page = await pdf.getPage(number);
      const { items } = await page.getTextContent();
      const text = items.map((one) => ("str" in one ? one.str + (one.hasEOL ? "\n" : "") : "")).join("");
      length += text.length;
      pages.push(text.trim());
      page.cleanup();
    }
  } catch (error) {
    throw new Error(told(error as Error));
  } finally {
    void loading.destroy();
  }
  const text = pages.filter(Boolean).join("\n\n");
  if (!text) throw new Error("it has no text: its pages are pictures of text");
  return text;
}

function told(error: Error): string {
  if (error.name === "PasswordException") return "it is locked with a password";
  return `it cannot be read as a PDF (${error.message.replace(/\.$/, "")})`;
}
