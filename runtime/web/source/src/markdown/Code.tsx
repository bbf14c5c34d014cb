// A block of code: its language, a button that copies it, and colours once the highlighter has been loaded.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "../parts/CopyButton";
import type { Highlighter, Piece } from "./highlighter";

/** Characters beyond which colours would take longer than anybody waits. */
const TOO_LONG = 50_000;

let loading: Promise<Highlighter> | undefined;
let loaded: Highlighter | undefined;

export function Code({ text, language }: { text: string; language: string | undefined }) {
  return (
    <figure class="code">
      <figcaption>
        <span>{language || "text"}</span>
        <CopyButton text={text} label="Copy code" />
      </figcaption>
      <pre tabIndex={0} aria-label={`Code${language ? ` in ${language}` : ""}`}>
        <code>
          <Coloured text={text} language={language} />
        </code>
      </pre>
    </figure>
  );
}

export function Coloured({ text, language }: { text: string; language: string | undefined }) {
  const highlight = useHighlighter(Boolean(language) && text.length <= TOO_LONG);
  const pieces = highlight && language ? highlight(text, language) : null;
  return <>{pieces ? pieces.map(drawn) : text}</>;
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
