// For those who study a model: a raw prompt, its continuation token by token, and what else could have come.

import { useSignal } from "@preact/signals";
import { begin, isRunning, limit, problem, prompt, result, stop, tokens } from "../state/completing";
import { condition } from "../state/server";
import { Icon } from "../parts/Icon";
import { Alternatives } from "./Alternatives";
import { StatsText } from "./StatsLine";
import { TokenList } from "./TokenList";

export function CompletionView() {
  const looked = useSignal<number | null>(null);
  const canBegin = condition.value === "ready" && !isRunning.value && Boolean(prompt.value);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!canBegin) return;
    looked.value = null;
    void begin();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };
  return (
    <main class="completion">
      <h1 class="offscreen">Completion</h1>
      <div class="column">
        <form onSubmit={submit}>
          <label class="field">
            Prompt
            <small id="about-prompt">The model goes on with this text as it stands: no template, no system prompt.</small>
            <textarea id="message" class="mono" rows={6} spellcheck={false} aria-describedby="about-prompt" placeholder="The first man on the moon was" value={prompt} onInput={(event) => (prompt.value = event.currentTarget.value)} onKeyDown={onKey} />
          </label>
          <div class="row">
            {isRunning.value ? (
              <button type="button" class="primary" onClick={stop}><Icon name="stop" /> Stop</button>
            ) : (
              <button type="submit" class="primary" title="Ctrl+Enter" disabled={!canBegin}><Icon name="play" /> Complete</button>
            )}
            <label class="row">
              Tokens
              <input type="number" min={1} max={4096} value={limit} onChange={(event) => (limit.value = event.currentTarget.valueAsNumber || 64)} />
            </label>
          </div>
        </form>
        <p class="problem" role="alert">{problem}</p>
        {tokens.value.length > 0 && (
          <div class="continuation">
            <section aria-label="Continuation" aria-busy={isRunning.value}>
              <TokenList onLook={(index) => (looked.value = index)} looked={looked.value} />
              {result.value && <p class="stats"><StatsText stats={result.value} /></p>}
            </section>
            <Alternatives index={looked.value} />
          </div>
        )}
      </div>
    </main>
  );
}
