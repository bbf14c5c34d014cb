// HTML as text that a model reads well: headings, lists and tables as in Markdown, and nothing of what only browsers need.
// Read by htmlparser2: the page's policy lets no text become elements, not even those that are never shown.

import { Parser } from "htmlparser2";

const SKIPPED = new Set(["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select"]);
const BLOCKS = new Set([
  "address", "article", "aside", "blockquote", "body", "dd", "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption",
  "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section",
  "summary", "table", "title", "ul",
]);

/** The text of a file of HTML, in whatever encoding it says it is in. Raises an Error where there is none. */
export async function textOfPage(bytes: ArrayBuffer): Promise<string> {
  const text = textOfHtml(decoded(bytes));
  if (!text) throw new Error("it has no text");
  return text;
}

export function textOfHtml(html: string): string {
  const out = new Lines();
  let skipped = 0;
  let pre = 0;
  let cells = 0;
  const block = (name: string): void => {
    if (cells) out.words(" "); // a row stays one line
    else if (lists.length && /^[uo]l$/.test(name)) out.line(); // a list in a list goes on with it
    else out.block();
  };
  const lists: { isOrdered: boolean; count: number }[] = [];
  const parser = new Parser({
    onopentag(name) {
      if (SKIPPED.has(name)) skipped += 1;
      else if (BLOCKS.has(name)) block(name);
      if (/^h[1-6]$/.test(name)) out.mark(`${"#".repeat(Number(name[1]))} `);
      else if (name === "ul" || name === "ol") lists.push({ isOrdered: name === "ol", count: 0 });
      else if (name === "li") {
        const list = lists.at(-1) ?? { isOrdered: false, count: 0 };
        list.count += 1;
        out.line();
        out.mark(`${"  ".repeat(Math.max(lists.length - 1, 0))}${list.isOrdered ? `${list.count}. ` : "- "}`);
      } else if (name === "tr") out.line();
      else if (name === "td" || name === "th") {
        cells += 1;
        out.mark("| ");
      }
      else if (name === "br") out.line();
      else if (name === "pre") pre += 1;
    },
    ontext(text) {
      if (skipped) return;
      if (pre) out.exactly(text);
      else out.words(text);
    },
    onclosetag(name) {
      if (SKIPPED.has(name)) skipped -= 1;
      else if (BLOCKS.has(name)) {
        if (/^[uo]l$/.test(name)) lists.pop();
        block(name);
      }
      if (name === "td" || name === "th") {
        cells -= 1;
        out.words(" ");
      } else if (name === "tr") out.line();
      else if (name === "pre") pre -= 1;
    },
  });
  parser.end(html);
  return out.text();
}

/** Lines that grow: blocks with an empty line between them, words with one space. */
class Lines {
  #done = "";
  #current = "";
  #isMarked = false;

  /** Ends the line, if anything is in it. */
  line(): void {
    if (!this.#isMarked && this.#current.trim()) this.#push();
  }

  /** Ends the block. */
  block(): void {
    if (this.#isMarked) return; // what is in a list's item or a cell begins behind its mark
    this.line();
    if (this.#done && !this.#done.endsWith("\n\n")) this.#done += "\n";
  }

  /** Writes what the next words stand behind. */
  mark(text: string): void {
    this.#current += text;
    this.#isMarked = true;
  }

  words(text: string): void {
    const words = text.replace(/\s+/g, " ");
    if (words !== " ") this.#isMarked = false;
    this.#current += /(^|\s)$/.test(this.#current) ? words.trimStart() : words;
  }

  exactly(text: string): void {
    this.#isMarked = false;
    const lines = text.split("\n");
    for (const [i, one] of lines.entries()) {
      this.#current += one;
      if (i < lines.length - 1) this.#push();
    }
  }

  text(): string {
    this.#push();
    return this.#done.replace(/\n{3,}/g, "\n\n").trim();
  }

  #push(): void {
    this.#done += `${this.#current.trimEnd()}\n`;
    this.#current = "";
    this.#isMarked = false;
  }
}

const HEAD_BYTES = 1024; // where the encoding is named (HTML, 4.2.5.4)

function decoded(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const head = new TextDecoder("latin1").decode(bytes.slice(0, HEAD_BYTES));
    const named = /charset\s*=\s*["']?([\w-]+)/i.exec(head)?.[1] ?? "windows-1252";
    try {
      return new TextDecoder(named).decode(bytes);
    } catch {
      throw new Error(`its encoding is not known: ${named}`);
    }
  }
}
