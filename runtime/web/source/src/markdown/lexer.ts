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

/** The blocks of `text`. What is nested too deeply to be read stays one paragraph. */
export function blocks(text: string): Token[] {
  try {
    return marked.lexer(text).filter((token) => token.type !== "space" && token.type !== "def");
  } catch {
    const plain: Tokens.Text = { type: "text", raw: text, text, escaped: false };
    return [{ type: "paragraph", raw: text, text, tokens: [plain] }];
  }
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
