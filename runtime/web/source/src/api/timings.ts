// llama-server's `timings`: what an answer took.

export interface Timings {
  cache_n: number;
  prompt_n: number;
  predicted_n: number;
  predicted_per_second: number;
}

export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
  tokensPerSecond: number;
  /** From the question to the first piece of the answer, as the page saw it. */
  firstTokenMs: number;
}

export function stats(timings: Timings, firstTokenMs: number): Stats {
  return {
    promptTokens: timings.prompt_n + timings.cache_n,
    cachedTokens: timings.cache_n,
    answerTokens: timings.predicted_n,
    tokensPerSecond: timings.predicted_per_second,
    firstTokenMs,
  };
}
