// llama.cpp's `/completion`, streamed, with the probabilities of each token.

import { events } from "./events";
import { request } from "./http";
import type { Timings } from "./timings";

/** A token and the natural logarithm of its probability before sampling; those most likely at its place in `top_logprobs`. */
export interface Token {
  token: string;
  logprob: number;
  top_logprobs: { token: string; logprob: number }[];
}

export interface CompletionEvent {
  content: string;
  stop: boolean;
  completion_probabilities?: Token[];
  timings?: Timings;
}

/** Raises what `request` and `events` raise. */
export async function* completion(body: Record<string, unknown>, signal: AbortSignal): AsyncGenerator<CompletionEvent> {
  yield* events<CompletionEvent>(await request("completion", { ...body, stream: true }, signal));
}
