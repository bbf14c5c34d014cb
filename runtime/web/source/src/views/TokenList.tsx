// The tokens of a continuation, each under a tint for how unlikely it was. Arrow keys go from one to the next.

import { useRef } from "preact/hooks";
import { type Continued, isRunning, tokens } from "../state/completing";
import { showsSigns } from "../state/preferences";
import { percent, probabilityOf } from "./probability";

export function TokenList({ looked, onLook }: { looked: number | null; onLook: (index: number) => void }) {
  const place = useRef<HTMLDivElement>(null);
  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && place.current!.children[(looked ?? 0) + step];
    if (!next) return;
    event.preventDefault();
    (next as HTMLElement).focus();
  };
  return (
    <div ref={place} class={isRunning.value ? "tokens running" : "tokens"} role="group" aria-label="Tokens" onKeyDown={onKey}>
      {tokens.value.map((one, i) => (
        <span
          key={i}
          role="button"
          tabIndex={i === (looked ?? 0) ? 0 : -1}
          class={`token ${tintOf(one)}${i === looked ? " looked" : ""}`}
          aria-label={labelOf(one)}
          onMouseEnter={() => onLook(i)}
          onFocus={() => onLook(i)}
          onClick={() => onLook(i)}
        >
          {showsSigns.value ? one.text.split(/( |\n)/).map((part, n) => <Part key={n} text={part} />) : one.text}
        </span>
      ))}
    </div>
  );
}

/** A sign is drawn over a space and before a line's end, so that what is copied is the text. */
function Part({ text }: { text: string }) {
  if (text === " ") return <span class="space"> </span>;
  return text === "\n" ? <span class="line-end">{"\n"}</span> : <>{text}</>;
}

function labelOf({ text, token }: Continued): string {
  const said = text.trim() || (text.includes("\n") ? "line break" : "space");
  return token ? `${said}, ${percent(probabilityOf(token))}` : `${said}, chosen`;
}

/** In six steps, because a policy that lets no inline styles in has no room for more. */
function tintOf({ token }: Continued): string {
  return token ? `tint-${Math.min(Math.floor((1 - probabilityOf(token)) * 6), 5)}` : "chosen";
}
