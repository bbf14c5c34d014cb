// Markdown into tokens: CommonMark and GitHub's tables, and TeX between $…$, $$…$$, \(…\) and \[…\].
// Knows marked's lexer and none of its HTML: what the tokens look like is Markdown.tsx's.

import { Marked, type Token, type TokenizerAndRendererExtension, type Tokens } from "marked";

export interface MathToken {
  type: "math";
  raw: string;
  tex: string;
  display: boolean;
}

const DISPLAY = /^(?:\$\$((?:[^$]|\\\$)+?)\$\$|\\\[([\s\S]+?)\\\])/;
// A dollar that opens is followed by no space, one that closes is neither preceded by a space nor followed by a digit:
// prices are not formulas (pandoc's rule).
const INLINE = /^(?:\$(?![\s$])((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)|\\\(([\s\S]+?)\\\))/;

const display: TokenizerAndRendererExtension = {
  name: "display",
  level: "block",
  start: (text) => index(text, /\$\$|\\\[/),
  tokenizer: (text) => math(/^ {0,3}/.test(text) ? DISPLAY.exec(text.replace(/^ {0,3}/, "")) : null, true, text),
};

const inline: TokenizerAndRendererExtension = {
  name: "inline",
  level: "inline",
  start: (text) => index(text, /\$|\\\(|\\\[/),
  tokenizer: (text) => math(DISPLAY.exec(text), true, text) ?? math(INLINE.exec(text), false, text),
};

const marked = new Marked({ gfm: true, extensions: undefined });
marked.use({ extensions: [display, inline] });

/** A text as it has been read: all of its tokens, whose `raw` is the text, and whether links in it have their addresses elsewhere. */
export interface Read {
  tokens: readonly Token[];
  hasReferences: boolean;
}

export const NOTHING: Read = { tokens: [], hasReferences: false };

/** What there is to see of it. */
export function blocks({ tokens }: Read): Token[] {
  return tokens.filter((token) => token.type !== "space" && token.type !== "def");
}

/** Reads `text`, of which `before` was the beginning, say: what cannot become anything else by what follows is not read again. */
export function readOn(before: Read, text: string): Read {
  const lines = text.replace(/\r\n?/g, "\n");
  const kept = settled(before);
  const beginning = kept.map((token) => token.raw).join("");
  if (!kept.length || !lines.startsWith(beginning)) return read(lines);
  const rest = read(lines.slice(beginning.length));
  return rest.hasReferences ? read(lines) : { ...rest, tokens: [...kept, ...rest.tokens] };
}

/** What is nested too deeply to be read stays one paragraph. */
function read(text: string): Read {
  try {
    const tokens = marked.lexer(text);
    return { tokens: [...tokens], hasReferences: Object.keys(tokens.links).length > 0 };
  } catch {
    const plain: Tokens.Text = { type: "text", raw: text, text, escaped: false };
    return { tokens: [{ type: "paragraph", raw: text, text, tokens: [plain] }], hasReferences: false };
  }
}

const OPEN_MATH = /\$\$|\\\[/;
/** What cannot begin with a formula. */
const OTHERS = new Set(["code", "math", "list", "blockquote"]);
const EMPTY_LINE = /\n[ \t]*\n$/;

/** The tokens up to an empty line before the last two blocks: the last one may go on, and with it the one before, as lists do
 *  after an empty line. A formula that was not closed yet may take in all that follows. */
function settled({ tokens, hasReferences }: Read): readonly Token[] {
  if (hasReferences) return [];
  let end = tokens.length;
  for (let blocks = 0; end > 0 && blocks < 2; ) if (tokens[--end]!.type !== "space") blocks += 1;
  const open = tokens.findIndex((token) => !OTHERS.has(token.type) && OPEN_MATH.test(token.raw));
  if (open >= 0) end = Math.min(open, end);
  while (end > 0 && !EMPTY_LINE.test(tokens[end - 1]!.raw)) end -= 1;
  return tokens.slice(0, end);
}

function math(found: RegExpExecArray | null, display: boolean, text: string): MathToken | undefined {
  if (!found) return undefined;
  const indent = text.indexOf(found[0]);
  return { type: "math", raw: text.slice(0, indent + found[0].length), tex: (found[1] ?? found[2])!.trim(), display };
}

function index(text: string, of: RegExp): number | undefined {
  const found = text.search(of);
  return found < 0 ? undefined : found;
}
