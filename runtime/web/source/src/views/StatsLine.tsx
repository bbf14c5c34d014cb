// What an answer took.

import type { Turn } from "../chats/types";
import { running } from "../state/answering";
import { models } from "../state/server";

export function StatsLine({ turn, isRunning }: { turn: Turn; isRunning: boolean }) {
  if (isRunning) {
    const speed = running.value.get(turn.chat)?.speed.value ?? 0;
    return speed ? <span class="stats">{rate(speed)}</span> : null;
  }
  const { stats } = turn;
  if (!stats) return null;
  const cached = stats.cachedTokens ? `, ${count(stats.cachedTokens)} of them cached` : "";
  return (
    <span class="stats">
      {models.value.length > 1 && turn.model && <span>{turn.model}</span>}
      <span title="Speed of the answer">{rate(stats.tokensPerSecond)}</span>
      <span title="From the question to the first piece of the answer">{seconds(stats.firstTokenMs)} to the first token</span>
      <span title="Tokens of the prompt and of the answer">{count(stats.promptTokens)}{cached} → {count(stats.answerTokens)} tokens</span>
    </span>
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
