// A block of code: its language, buttons that wrap and copy it, and colours once the highlighter has been loaded.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CopyButton } from "../parts/CopyButton";
import { Icon } from "../parts/Icon";
import { wrapsCode } from "../state/preferences";
import type { Highlighter, Piece } from "./highlighter";

/** Characters beyond which colours would take longer than anybody waits. */
const TOO_LONG = 50_000;

let loading: Promise<Highlighter> | undefined;
let loaded: Highlighter | undefined;

export function Code({ text, language }: { text: string; language: string | undefined }) {
  const place = useRef<HTMLPreElement>(null);
  const isWide = useIsWide(place);
  const wraps = wrapsCode.value;
  return (
    <figure class={wraps ? "code wrapped" : "code"}>
      <figcaption>
        <span>{language || "text"}</span>
        {(isWide || wraps) && (
          <button type="button" class="quiet icon" title="Wrap long lines" aria-label="Wrap long lines" aria-pressed={wraps} onClick={() => (wrapsCode.value = !wraps)}>
            <Icon name="wrap" />
          </button>
        )}
        <CopyButton text={text} label="Copy code" />
      </figcaption>
      <pre ref={place} tabIndex={0} aria-label={`Code${language ? ` in ${language}` : ""}`}>
        <code>
          <Coloured text={text} language={language} />
        </code>
      </pre>
    </figure>
  );
}

/** Whether lines go beyond the edge. Looked at where the browser has laid it out by itself, which it does not out of sight. */
function useIsWide(place: { current: HTMLPreElement | null }): boolean {
  const [isWide, setWide] = useState(false);
  useEffect(() => {
    const at = place.current!;
    const watcher = new ResizeObserver(() => setWide(at.scrollWidth > at.clientWidth));
    watcher.observe(at);
    watcher.observe(at.firstElementChild!);
    return () => watcher.disconnect();
  }, []);
  return isWide;
}

/** How long the end of a line may be without its colours. */
const LINE_MS = 250;

/** Code that grows is coloured anew with each line, not with each word: it takes as long as all of it is. */
export function Coloured({ text, language }: { text: string; language: string | undefined }) {
  const highlight = useHighlighter(Boolean(language) && text.length <= TOO_LONG);
  const last = useRef<{ text: string; by: unknown; language: unknown; shown: ComponentChildren } | undefined>(undefined);
  const [, draw] = useState(0);
  const before = last.current;
  const goesOn = before && before.by === highlight && before.language === language && text.startsWith(before.text);
  if (!goesOn || text.includes("\n", before.text.length)) {
    const pieces = highlight && language ? highlight(text, language) : null;
    last.current = { text, by: highlight, language, shown: pieces ? pieces.map(drawn) : text };
  }
  const { text: coloured, shown } = last.current!;
  const isWhole = coloured.length === text.length;
  useEffect(() => {
    if (isWhole) return;
    const timer = setTimeout(() => {
      last.current = undefined;
      draw((n) => n + 1);
    }, LINE_MS);
    return () => clearTimeout(timer);
  }, [isWhole]);
  return <>{shown}{text.slice(coloured.length)}</>;
}

function drawn(piece: Piece, i: number): ComponentChildren {
  return typeof piece === "string" ? piece : <span key={i} class={piece.classes}>{piece.children.map(drawn)}</span>;
}

function useHighlighter(isWanted: boolean): Highlighter | undefined {
  const [, draw] = useState(0);
  useEffect(() => {
    if (!isWanted || loaded) return;
    loading ??= import("./highlighter").then((module) => (loaded = module.highlight));
    let isThere = true;
    void loading.then(() => isThere && draw((n) => n + 1));
    return () => {
      isThere = false;
    };
  }, [isWanted]);
  return isWanted ? loaded : undefined;
}
