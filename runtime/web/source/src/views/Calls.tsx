// Tools that the model calls. Nobody runs them here: the reader says what a call came to.

import { useRef } from "preact/hooks";
import type { Call, Turn } from "../chats/types";
import { Coloured } from "../markdown/Code";
import { giveResult } from "../state/answering";
import { path } from "../state/chats";
import { condition } from "../state/server";
import { Icon } from "../parts/Icon";

export function Calls({ turn, calls, isRunning }: { turn: Turn; calls: Call[]; isRunning: boolean }) {
  const below = path.value.slice(path.value.findIndex((one) => one.id === turn.id) + 1);
  const isOpen = !isRunning && below.every((one) => one.role === "tool");
  return (
    <>
      {calls.map((call, i) => {
        const result = below.find((one) => one.role === "tool" && one.callId === call.id);
        return (
          <section key={i} class="call" aria-label={`Call of ${call.name}`}>
            <h2><Icon name="tool" /> <code>{call.name}</code></h2>
            <pre tabIndex={0} aria-label="Arguments"><code><Coloured text={pretty(call.arguments)} language="json" /></code></pre>
            {result ? <Result text={result.text} /> : isOpen && <ResultForm call={call} />}
          </section>
        );
      })}
    </>
  );
}

function Result({ text }: { text: string }) {
  return (
    <>
      <h3>Result</h3>
      <pre tabIndex={0} aria-label="Result">{text}</pre>
    </>
  );
}

function ResultForm({ call }: { call: Call }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (condition.value === "ready") void giveResult(call.id, field.current!.value);
  };
  return (
    <form onSubmit={submit}>
      <label class="field">
        Result, as the tool would give it
        <textarea ref={field} rows={2} />
      </label>
      <button type="submit" disabled={condition.value !== "ready"}>Give the result</button>
    </form>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json; // it is still coming
  }
}
