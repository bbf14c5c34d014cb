// `/v1/chat/completions`, streamed: the pieces of an answer.

import { events } from "./events";
import { request } from "./http";
import type { Timings } from "./timings";

export type Part =
  | { type: "text"; text: string }
  | { type: "image_url"; image_url: { url: string } }
  | { type: "input_audio"; input_audio: { data: string; format: string } };

export interface ApiCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface ApiMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string | Part[] | null;
  reasoning_content?: string;
  tool_calls?: ApiCall[];
  tool_call_id?: string;
}

export interface ChatBody {
  model: string;
  messages: ApiMessage[];
  tools?: unknown;
  response_format?: unknown;
  reasoning_effort?: string;
  [sampling: string]: unknown;
}

export type Piece =
  | { kind: "text" | "reasoning"; text: string }
  | { kind: "call"; index: number; id?: string; name?: string; arguments: string }
  | { kind: "finish"; reason: string }
  | { kind: "progress"; progress: Progress }
  | { kind: "timings"; timings: Timings };

/** How much of the prompt is computed, in tokens; `cache` of them were before. */
export interface Progress {
  total: number;
  cache: number;
  processed: number;
}

interface Chunk {
  choices: { delta: Delta; finish_reason: string | null }[];
  prompt_progress?: Progress;
  timings?: Timings;
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  tool_calls?: { index: number; id?: string; function: { name?: string; arguments?: string } }[];
}

/** Raises what `request` and `events` raise. */
export async function* chat(body: ChatBody, signal: AbortSignal): AsyncGenerator<Piece> {
  const streamed = { ...body, stream: true, return_progress: true, stream_options: { include_usage: true } };
  const response = await request("v1/chat/completions", streamed, signal);
  for await (const chunk of events<Chunk>(response)) yield* pieces(chunk);
}

/** How many tokens the prompt of `body` has. Raises what `request` raises. */
export async function countTokens(body: ChatBody): Promise<number> {
  const response = await request("v1/chat/completions/input_tokens", body);
  return ((await response.json()) as { input_tokens: number }).input_tokens;
}

function* pieces(chunk: Chunk): Generator<Piece> {
  const choice = chunk.choices[0];
  if (chunk.prompt_progress) yield { kind: "progress", progress: chunk.prompt_progress };
  if (choice) {
    const { content, reasoning_content: reasoning, tool_calls: calls } = choice.delta;
    if (reasoning) yield { kind: "reasoning", text: reasoning };
    if (content) yield { kind: "text", text: content };
    for (const { index, id, function: called } of calls ?? []) {
      yield { kind: "call", index, ...(id && { id }), ...(called.name && { name: called.name }), arguments: called.arguments ?? "" };
    }
    if (choice.finish_reason) yield { kind: "finish", reason: choice.finish_reason };
  }
  if (chunk.timings) yield { kind: "timings", timings: chunk.timings };
}
