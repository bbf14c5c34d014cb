// For those who study a model: a raw prompt, its continuation token by token, and what else could have come.

import { useSignal } from "@preact/signals";
import { openings } from "../state/beginnings";
import { begin, isRunning, limit, problem, prompt, result, stop, tokens } from "../state/completing";
import { showsSigns } from "../state/preferences";
import { condition, isBase, model } from "../state/server";
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
            <small id="about-prompt">
              {isBase.value && <><strong>{model.value?.id}</strong> is a base model: it goes on with text, and was not taught to answer. </>}
              The model goes on with this text as it stands: no template, no system prompt.
            </small>
            <textarea id="message" class="mono" rows={6} spellcheck={false} aria-describedby="about-prompt" placeholder="The beginning of any text" value={prompt} onInput={(event) => (prompt.value = event.currentTarget.value)} onKeyDown={onKey} />
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
        {!tokens.value.length && !prompt.value && (
          <ul class="openings" aria-label="Texts to go on with">
            {openings.value.map((text) => (
              <li key={text}>
                <button type="button" onClick={() => (prompt.value = text)}>{text}</button>
              </li>
            ))}
          </ul>
        )}
        {tokens.value.length > 0 && (
          <div class="continuation">
            <section aria-label="Continuation" aria-busy={isRunning.value}>
              <Legend />
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

/** What the tints mean, and whether spaces and line ends are shown. */
function Legend() {
  return (
    <div class="legend">
      <span>certain</span>
      <span class="scale" role="img" aria-label="from no tint for a certain token to a dark one for an unlikely token">
        {[0, 1, 2, 3, 4, 5].map((step) => <span key={step} class={`tint-${step}`} />)}
      </span>
      <span>unlikely</span>
      <label class="row">
        <input type="checkbox" checked={showsSigns.value} onChange={(event) => (showsSigns.value = event.currentTarget.checked)} />
        spaces and line ends
      </label>
    </div>
  );
}
