// What the reader prefers in every conversation: how to sample, how much to think, how things look. Kept in localStorage.

import { effect, signal } from "@preact/signals";

export interface Setting {
  /** The field's name in a request, and of its default in /props. */
  name: string;
  title: string;
  meaning: string;
  min: number;
  max: number;
  step: number;
  /** A number between them that means nothing. */
  without?: number;
}

export const SAMPLING: readonly Setting[] = [
  { name: "temperature", title: "Temperature", min: 0, max: 5, step: 0.05, meaning: "How much chance plays in. At 0 the likeliest token is always taken; above 1 answers begin to wander." },
  { name: "max_tokens", title: "Max tokens", min: -1, max: 1_000_000, step: 1, without: 0, meaning: "The longest answer. -1 lets it go on to the end of the context." },
  { name: "top_k", title: "Top K", min: 0, max: 1000, step: 1, meaning: "Only this many of the likeliest tokens are considered. 0 considers all." },
  { name: "top_p", title: "Top P", min: 0, max: 1, step: 0.01, meaning: "Only the likeliest tokens that together have this probability are considered. 1 considers all." },
  { name: "min_p", title: "Min P", min: 0, max: 1, step: 0.01, meaning: "Tokens are left out that are less likely than this share of the likeliest one. 0 leaves none out." },
  { name: "repeat_penalty", title: "Repeat penalty", min: 0.1, max: 3, step: 0.05, meaning: "Above 1, tokens that occurred lately become less likely. 1 is off." },
  { name: "presence_penalty", title: "Presence penalty", min: -2, max: 2, step: 0.1, meaning: "Above 0, tokens that occurred at all become less likely, so that new subjects come up." },
  { name: "frequency_penalty", title: "Frequency penalty", min: -2, max: 2, step: 0.1, meaning: "Above 0, tokens become less likely the more often they occurred." },
  { name: "seed", title: "Seed", min: 0, max: 4294967295, step: 1, meaning: "The same seed and the same settings give the same answer. Empty draws another one each time." },
];

/** How many of them most people want; the others are folded. */
export const FIRST = 2;

export const EFFORTS = ["none", "low", "medium", "high"] as const;
export type Effort = "" | (typeof EFFORTS)[number];
export type Theme = "" | "light" | "dark";

/** Only what differs from the server's own defaults. */
export const sampling = kept<Record<string, number>>("loaf.sampling", {});
/** How much to think before an answer; empty leaves it to the model. */
export const effort = kept<Effort>("loaf.effort", "");
/** Whether long lines of code go on below themselves rather than beyond the edge. */
export const wrapsCode = kept("loaf.wraps-code", false);
/** Whether spaces and line ends have signs among the tokens of a completion. */
export const showsSigns = kept("loaf.shows-signs", true);
/** Empty follows the system. */
export const theme = signal<Theme>((localStorage.getItem("loaf.theme") as Theme | null) ?? "");

effect(() => {
  if (theme.value) {
    document.documentElement.dataset["theme"] = theme.value;
    localStorage.setItem("loaf.theme", theme.value);
  } else {
    delete document.documentElement.dataset["theme"];
    localStorage.removeItem("loaf.theme");
  }
});

function kept<T>(name: string, first: T) {
  const value = signal(read(name, first));
  effect(() => localStorage.setItem(name, JSON.stringify(value.value)));
  return value;
}

function read<T>(name: string, first: T): T {
  try {
    return (JSON.parse(localStorage.getItem(name) ?? "null") as T | null) ?? first;
  } catch {
    return first;
  }
}
