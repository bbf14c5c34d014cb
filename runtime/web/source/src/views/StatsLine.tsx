// What an answer took; on a phone once it is asked for.

import { useSignal } from "@preact/signals";
import type { Stats } from "../api/timings";
import type { Turn } from "../chats/types";
import { running } from "../state/answering";
import { models } from "../state/server";
import { Icon } from "../parts/Icon";

export function StatsLine({ turn, isRunning }: { turn: Turn; isRunning: boolean }) {
  const isOpen = useSignal(false);
  if (isRunning) {
    const speed = running.value.get(turn.chat)?.speed.value ?? 0;
    return speed ? <span class="stats open">{rate(speed)}</span> : null;
  }
  if (!turn.stats) return null;
  return (
    <span class={isOpen.value ? "stats open" : "stats"}>
      <button type="button" class="quiet icon narrow" aria-label="What it took" aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}><Icon name="info" /></button>
      {models.value.length > 1 && turn.model && <span>{turn.model}</span>}
      <StatsText stats={turn.stats} />
    </span>
  );
}

export function StatsText({ stats }: { stats: Stats }) {
  const cached = stats.cachedTokens ? ` (${count(stats.cachedTokens)} cached)` : "";
  return (
    <>
      <span title="Speed of the answer">{rate(stats.tokensPerSecond)}</span>
      <span title="From the question to the first piece of the answer">{seconds(stats.firstTokenMs)} to the first token</span>
      <span title="Tokens of the prompt, those of them that were computed before, and tokens of the answer">
        {count(stats.promptTokens)}{cached} → {count(stats.answerTokens)} tokens
      </span>
    </>
  );
}

function rate(tokensPerSecond: number): string {
  return `${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0)} tokens/s`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function count(tokens: number): string {
  return tokens.toLocaleString("en");
}
