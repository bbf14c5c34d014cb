// Questions and their answers: what is sent, and what becomes of the pieces that come back.

import { type Signal, signal } from "@preact/signals";
import { chat as stream, type ChatBody, type Piece, type Progress } from "../api/chat";
import { ServerError, Unreachable } from "../api/http";
import { stats, type Timings } from "../api/timings";
import { pathTo } from "../chats/tree";
import { type Attachment, type Chat, newId, type Turn } from "../chats/types";
import { add, chat, keepSoFar, path, takeBack, turns, update } from "./chats";
import { effort, sampling } from "./preferences";
import { look, model, props } from "./server";
import { isEmpty, messagesOf } from "./messages";
import { tell } from "./tabs";

interface Running {
  turn: Signal<Turn>;
  abort: AbortController;
  /** Once it has ended, and is kept as it is. */
  over: Promise<void>;
  /** Tokens a second, as far as it has come. */
  speed: Signal<number>;
  /** How much of the question is read, from 0 to 1; null before that is known. */
  read: Signal<number | null>;
}

/** Answers that are coming, by the id of their conversation: one in each. */
export const running = signal<ReadonlyMap<string, Running>>(new Map());
/** What a screen reader is told. */
export const announcement = signal("");

const DRAW_MS = 33;
const TELL_MS = 250;
const KEEP_MS = 1000;

export async function ask(text: string, attachments: readonly Attachment[]): Promise<void> {
  await askAfter(chat.value.leaf, text, attachments);
}

/** Asks again in other words: a branch beside `turn`, for which an answer that is coming makes way. Whether it was asked. */
export async function askInstead(turn: Turn, text: string, attachments: readonly Attachment[]): Promise<boolean> {
  stop(turn.chat);
  await running.value.get(turn.chat)?.over;
  if (chat.value.id !== turn.chat) return false; // another one was opened meanwhile
  void askAfter(turn.parent, text, attachments);
  return true;
}

async function askAfter(parent: string | null, text: string, attachments: readonly Attachment[]): Promise<void> {
  const turn = { ...draftOf(text, attachments), parent };
  await answerTo([...pathTo(turns.value, parent), turn], [turn]);
}

/** What would be added to the open conversation. */
export function draftOf(text: string, attachments: readonly Attachment[]): Turn {
  const turn: Turn = { id: newId(), chat: chat.value.id, parent: chat.value.leaf, role: "user", text, created: Date.now() };
  if (attachments.length) turn.attachments = [...attachments];
  return turn;
}

/** Tells the model what its call came to, and has it go on once every call has a result. */
export async function giveResult(callId: string, text: string): Promise<void> {
  const turn: Turn = { id: newId(), chat: chat.value.id, parent: chat.value.leaf, role: "tool", text, callId, created: Date.now() };
  await add(turn);
  const calling = path.value.findLast((one) => one.role === "assistant");
  const given = new Set(path.value.filter((one) => one.role === "tool").map((one) => one.callId));
  if (calling?.calls?.every((call) => given.has(call.id))) await answer(turn.id);
}

/** Another answer to what `turn` answers: a branch beside it, or in its place where nothing had come of it. */
export async function answerAgain(turn: Turn): Promise<void> {
  if (!turn.parent || running.value.has(turn.chat)) return;
  if (turn.ending === "stopped" && isEmpty(turn)) void takeBack(turn);
  await answer(turn.parent, turn.leftOut);
}

/** An answer to the turn `parent`, without the first `leftOut` turns of the conversation. */
export async function answer(parent: string, leftOut = 0): Promise<void> {
  await answerTo(pathTo(turns.value, parent), [], leftOut);
}

/** An answer to the last turn of `before`, of which `added` are not kept yet. */
async function answerTo(before: Turn[], added: Turn[], leftOut = 0): Promise<void> {
  const last = before.at(-1);
  const created = Math.max(Date.now(), (last?.created ?? 0) + 1); // turns are put in order by it
  const turn: Turn = { id: newId(), chat: chat.value.id, parent: last?.id ?? null, role: "assistant", text: "", created };
  if (leftOut) turn.leftOut = leftOut;
  await run(turn, before, [...added, turn]);
}

/** Goes on with an answer that was not finished, without the first `leftOut` turns of the conversation. */
export async function resume(turn: Turn, leftOut = 0): Promise<void> {
  const { ending: _ending, error: _error, overflow: _overflow, ...open } = turn;
  if (leftOut) open.leftOut = leftOut;
  await run(open, pathTo(turns.value, turn.id), []);
}

export function stop(id: string = chat.value.id): void {
  running.value.get(id)?.abort.abort();
}

/** It runs from the first moment, so that nothing which is only being kept looks as if it had been lost. */
async function run(turn: Turn, before: Turn[], added: Turn[]): Promise<void> {
  const of = chat.value;
  if (running.value.has(of.id)) return;
  const body = bodyOf(of, before, turn.leftOut);
  turn.model = body.model;
  let end = (): void => {};
  const over = new Promise<void>((resolve) => (end = resolve));
  const one: Running = { turn: signal(turn), abort: new AbortController(), over, speed: signal(0), read: signal(null) };
  running.value = new Map(running.value).set(of.id, one);
  announcement.value = "Answering";
  try {
    for (const each of added) await add(each);
    await receive(one, stream(body, one.abort.signal));
  } catch (error) {
    one.turn.value = clean({ ...one.turn.value, ending: undefined, ...judged(error as Error) } as Turn);
  }
  const rest = new Map(running.value);
  rest.delete(of.id);
  running.value = rest;
  await settle(clean({ ...one.turn.value }));
  end();
}

async function settle(turn: Turn): Promise<void> {
  await update(turn);
  announcement.value = turn.error ?? (turn.ending === "stopped" ? "Stopped" : "The answer is complete");
  if (turn.ending === "lost" || turn.ending === "error") void look();
}

async function receive(one: Running, pieces: AsyncGenerator<Piece>): Promise<void> {
  const began = performance.now();
  const turn: Turn = { ...one.turn.value };
  let firstMs = 0;
  let count = 0;
  let timings: Timings | undefined;
  let prompt: Progress | undefined;
  const draw = paced(DRAW_MS, () => {
    one.turn.value = { ...turn };
  });
  const tellOthers = paced(TELL_MS, () => tell({ kind: "coming", turn: { ...turn } }));
  const keep = paced(KEEP_MS, () => void keepSoFar({ ...turn }));
  try {
    for await (const piece of pieces) {
      if (piece.kind === "timings") timings = piece.timings;
      else if (piece.kind === "progress") {
        prompt = piece.progress;
        one.read.value = prompt.processed / prompt.total;
      }
      else if (piece.kind === "finish") turn.ending = piece.reason === "length" ? "length" : "complete";
      else {
        firstMs ||= performance.now() - began;
        count += 1;
        one.speed.value = count > 1 ? (count - 1) / ((performance.now() - began - firstMs) / 1000) : 0;
        grow(turn, piece);
      }
      draw();
      tellOthers();
      keep();
    }
    if (!turn.ending) throw new Unreachable("the server left in the middle of the answer");
  } finally {
    if (timings) turn.stats = stats(timings, firstMs);
    else if (count) {
      // stopped, or lost: as the page saw it, a token a piece
      turn.stats = { promptTokens: prompt?.total ?? 0, cachedTokens: prompt?.cache ?? 0, answerTokens: count, tokensPerSecond: one.speed.value, firstTokenMs: firstMs };
    }
    draw.cancel();
    tellOthers.cancel();
    keep.cancel();
    one.turn.value = turn;
  }
}

function grow(turn: Turn, piece: Piece): void {
  if (piece.kind === "text") turn.text += piece.text;
  else if (piece.kind === "reasoning") turn.reasoning = (turn.reasoning ?? "") + piece.text;
  else if (piece.kind === "call") {
    const calls = [...(turn.calls ?? [])];
    const before = calls[piece.index] ?? { id: "", name: "", arguments: "" };
    calls[piece.index] = {
      id: piece.id ?? before.id,
      name: before.name + (piece.name ?? ""),
      arguments: before.arguments + piece.arguments,
    };
    turn.calls = calls;
  }
}

let isLeft = false; // the page, which takes its connections with it
addEventListener("pagehide", () => (isLeft = true));
addEventListener("pageshow", () => (isLeft = false));

function judged(error: Error): Pick<Turn, "ending" | "error" | "overflow"> {
  if (isLeft) return {};
  if (error.name === "AbortError") return { ending: "stopped" };
  if (error instanceof Unreachable) return { ending: "lost", error: error.message };
  const { n_prompt_tokens: tokens, n_ctx: context } = error instanceof ServerError ? error.fields : {};
  if (tokens === undefined || context === undefined) return { ending: "error", error: error.message };
  return { ending: "error", error: "The conversation no longer fits into the context.", overflow: { tokens, context } };
}

/** The turn without fields that are undefined, which a file of JSON does not have either. */
function clean(turn: Turn): Turn {
  return Object.fromEntries(Object.entries(turn).filter(([, value]) => value !== undefined)) as unknown as Turn;
}

/** What is asked of the server, so that the last turn of `before` is answered; its first `leftOut` turns are not sent. */
export function bodyOf(of: Chat, before: readonly Turn[], leftOut = 0): ChatBody {
  const body: ChatBody = {
    ...sampling.value,
    model: model.value?.id ?? "",
    messages: messagesOf(of.system, before, leftOut),
  };
  if (effort.value && props.value?.chat_template_caps.supports_preserve_reasoning) body.reasoning_effort = effort.value;
  if (of.tools.trim()) body.tools = JSON.parse(of.tools);
  if (of.schema.trim()) body.response_format = { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(of.schema) } };
  return body;
}

/** Calls `action` at most once in `ms`, the last time too unless it is cancelled. */
function paced(ms: number, action: () => void): (() => void) & { cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const call = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      action();
    }, ms);
  };
  return Object.assign(call, {
    cancel() {
      clearTimeout(timer);
      timer = undefined;
    },
  });
}

