// An answer that follows a schema: as a tree that folds, or as it came.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Code } from "../markdown/Code";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export function JsonAnswer({ text, isRunning }: { text: string; isRunning: boolean }) {
  const showsText = useSignal(false);
  const value = isRunning ? undefined : parsed(text);
  if (value === undefined) return <Code text={text} language="json" />;
  return (
    <div class="json">
      <div class="tabs" role="group" aria-label="Form of the answer">
        <button type="button" aria-pressed={!showsText.value} onClick={() => (showsText.value = false)}>Tree</button>
        <button type="button" aria-pressed={showsText.value} onClick={() => (showsText.value = true)}>JSON</button>
      </div>
      {showsText.value ? <Code text={JSON.stringify(value, null, 2)} language="json" /> : <div class="tree"><Value value={value} /></div>}
    </div>
  );
}

function Value({ name, value }: { name?: ComponentChildren; value: Json }) {
  const label = name !== undefined && <><span class="name">{name}</span>: </>;
  if (typeof value !== "object" || value === null) return <div class="leaf">{label}<span class={`value ${typeof value}`}>{JSON.stringify(value)}</span></div>;
  const entries: [ComponentChildren, Json][] = Array.isArray(value) ? value.map((one, i) => [i, one]) : Object.entries(value);
  const count = `${entries.length} ${Array.isArray(value) ? "items" : "fields"}`;
  return (
    <details open>
      <summary>{label}<span class="count">{count}</span></summary>
      {entries.map(([key, one], i) => <Value key={i} name={key} value={one} />)}
    </details>
  );
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
