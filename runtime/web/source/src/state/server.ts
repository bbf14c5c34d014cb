// How the server is, and what it serves: looked at again and again, so that the page knows when it goes and comes.

import { computed, signal } from "@preact/signals";
import { key, ServerError, Unreachable, useKey } from "../api/http";
import { health, type Model, models as listModels, type Props, props as getProps } from "../api/server";

/** `locked`: a key is needed. `failed`: it runs, and cannot serve. `away`: nobody answers. */
export type Condition = "connecting" | "loading" | "locked" | "failed" | "away" | "ready";

export const condition = signal<Condition>("connecting");
/** What the server says of a condition that is not good. */
export const reason = signal("");
/** How much of the model is loaded, from 0 to 1, where the server says so. */
export const progress = signal<number | undefined>(undefined);
export const models = signal<Model[]>([]);
export const props = signal<Props | null>(null);

const chosen = signal(localStorage.getItem("loaf.model") ?? "");

/** Those that write text. */
export const writers = computed(() => models.value.filter((one) => one.capabilities.includes("completion")));
export const model = computed(() => writers.value.find((one) => one.id === chosen.value) ?? writers.value[0]);
/** What the model takes besides text. */
export const senses = computed(() => ({ sees: props.value?.modalities.vision ?? false, hears: props.value?.modalities.audio ?? false }));
export const contextSize = computed(() => model.value?.meta.n_ctx ?? 0);
/** What was decided for the model, and what it says of itself. */
export const report = computed(() => props.value?.loaf.models[0]);
/** Whether it has learnt to go on with text, and not to answer. */
export const isBase = computed(() => report.value?.has_chat_template === false);

const OFTEN_MS = 500;
const SELDOM_MS = 5_000;

export async function watchServer(): Promise<never> {
  for (;;) {
    await look();
    await pause(condition.value === "ready" ? SELDOM_MS : OFTEN_MS);
  }
}

/** Looks at once: something has just gone wrong, or a key was given. */
export async function look(): Promise<void> {
  try {
    await health();
    if (condition.value === "locked" && !key.value) return;
    if (condition.value !== "ready") await introduce();
    condition.value = "ready";
  } catch (error) {
    [condition.value, reason.value] = judged(error as Error);
  }
}

export async function giveKey(value: string): Promise<void> {
  useKey(value);
  await look();
}

export async function choose(id: string): Promise<void> {
  chosen.value = id;
  localStorage.setItem("loaf.model", id);
  props.value = await getProps(id).catch(() => null);
}

async function introduce(): Promise<void> {
  models.value = await listModels();
  props.value = model.value ? await getProps(model.value.id) : null;
}

function judged(error: Error): [Condition, string] {
  if (error instanceof Unreachable) return ["away", ""];
  if (!(error instanceof ServerError)) return ["failed", error.message];
  if (error.status === 401) {
    const told = key.value ? "The server does not know this key." : "";
    useKey("");
    return ["locked", told];
  }
  progress.value = error.fields.progress;
  return [error.status === 503 ? "loading" : "failed", error.message];
}

let wake = (): void => {};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

// A laptop that was closed: what was known before counts for nothing.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
