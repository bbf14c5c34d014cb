// A prompt as it is, without a conversation around it, and how the model goes on with it.

import { effect, signal } from "@preact/signals";
import { completion, type Token } from "../api/completion";
import { Unreachable } from "../api/http";
import { type Stats, stats, type Timings } from "../api/timings";
import { recalled, remember } from "../parts/session";
import { sampling } from "./preferences";
import { look, model } from "./server";

export const prompt = signal("");
export const limit = signal(64);
/** What came, a token each; those that were chosen by hand have no probability. */
export const tokens = signal<readonly Continued[]>([]);
export const isRunning = signal(false);
export const problem = signal("");
export const result = signal<Stats | null>(null);

export interface Continued {
  text: string;
  /** Null where the reader put this token there. */
  token: Token | null;
}

/** The prompt outlives a reload. */
export function keepPrompt(): void {
  const kept = recalled("prompt");
  if (typeof kept === "string") prompt.value = kept;
  effect(() => remember("prompt", prompt.value));
}

const SHOWN_PROBABILITIES = 10;

let abort = new AbortController();

export async function begin(): Promise<void> {
  tokens.value = [];
  await goOn();
}

/** Another token in the place of number `index`, and on from there. */
export async function chooseInstead(index: number, text: string): Promise<void> {
  stop();
  tokens.value = [...tokens.value.slice(0, index), { text, token: null }];
  await goOn();
}

export function stop(): void {
  abort.abort();
}

async function goOn(): Promise<void> {
  const mine = (abort = new AbortController());
  const began = performance.now();
  let firstMs = 0;
  let timings: Timings | undefined;
  isRunning.value = true;
  problem.value = "";
  result.value = null;
  try {
    for await (const event of completion(body(), mine.signal)) {
      if (mine !== abort) return;
      firstMs ||= performance.now() - began;
      timings = event.timings ?? timings;
      const probabilities = event.completion_probabilities ?? [];
      const isOne = probabilities.length === 1;
      tokens.value = [...tokens.value, ...probabilities.map((token) => ({ text: isOne ? event.content : token.token, token }))];
    }
    if (timings) result.value = stats(timings, firstMs);
  } catch (error) {
    if ((error as Error).name !== "AbortError") problem.value = (error as Error).message;
    if (error instanceof Unreachable) void look();
  } finally {
    if (mine === abort) isRunning.value = false;
  }
}

function body(): Record<string, unknown> {
  const { max_tokens: _answers, ...chosen } = sampling.value;
  return {
    ...chosen,
    model: model.value?.id,
    prompt: prompt.value + tokens.value.map((one) => one.text).join(""),
    n_predict: limit.value,
    n_probs: SHOWN_PROBABILITIES,
  };
}
