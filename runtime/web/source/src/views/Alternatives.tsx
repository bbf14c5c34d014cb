// What could have come in the place of a token, and how likely each was.

import type { Token } from "../api/completion";
import { chooseInstead, tokens } from "../state/completing";
import { percent, probabilityOf } from "./probability";

export function Alternatives({ index }: { index: number | null }) {
  const token = index === null ? null : tokens.value[index]?.token;
  if (index === null || !token) return <aside class="alternatives" aria-label="Probabilities"><p>Point at a token to see what else could have come.</p></aside>;
  return (
    <aside class="alternatives" aria-label="Probabilities">
      <ol>
        {token.top_logprobs.map((one, i) => <Alternative key={i} one={one} index={index} isTaken={one.token === token.token} />)}
      </ol>
      {!token.top_logprobs.some((one) => one.token === token.token) && <p>{visible(token.token)} came, at {percent(probabilityOf(token))}.</p>}
    </aside>
  );
}

function Alternative({ one, index, isTaken }: { one: Pick<Token, "token" | "logprob">; index: number; isTaken: boolean }) {
  const probability = probabilityOf(one);
  return (
    <li class={isTaken ? "taken" : undefined}>
      <button type="button" title={isTaken ? "This one came" : "Go on from here with this one"} disabled={isTaken || !one.token} onClick={() => void chooseInstead(index, one.token)}>
        <code>{visible(one.token)}</code>
      </button>
      <meter min={0} max={1} value={probability} aria-label={`Probability of ${visible(one.token)}`} />
      <span>{percent(probability)}</span>
    </li>
  );
}

/** Spaces and line breaks as signs: most tokens begin with one. */
function visible(text: string): string {
  return text.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "∅";
}
