// What one could begin with, so that it fits the model: questions, code, or a text to go on with.

import { computed } from "@preact/signals";
import { isBase, model, props, report, senses } from "./server";

interface Beginnings {
  questions: readonly string[];
  /** What one could ask about a picture, for a model that sees. */
  pictureQuestions: readonly string[];
  /** Texts to go on with. */
  openings: readonly string[];
}

/** What the demo answers, too, though it knows little else. */
const GENERAL: Beginnings = {
  questions: ["Who was the first man on the moon?", "Why is the sky blue?", "Tell me a story."],
  pictureQuestions: ["What is in this picture?"],
  openings: ["The first man on the moon was", "Once upon a time", "The capital of France is"],
};
const THINKING: Beginnings = {
  ...GENERAL,
  questions: ["How many days lie between 3 March and 17 May?", "Why is the sky blue?", "Which is larger, 9.11 or 9.9, and why?"],
};
const CODING: Beginnings = {
  ...GENERAL,
  questions: ["Write a function that reverses a string.", "What does `git rebase` do?", "Explain recursion with an example."],
  openings: ["def fibonacci(n):", "// Sorts a list\nfunction sort(", "SELECT name FROM"],
};
/** The toy that sees (bundler/demo) has learnt nothing else. */
const VISION_DEMO: Beginnings = {
  questions: ["What can you do?"],
  pictureQuestions: ["What is in this picture?", "Which digit is this?"],
  openings: [],
};

const beginnings = computed((): Beginnings => {
  if (report.value?.title === "loaf vision demo") return VISION_DEMO;
  if (/cod(e|er|ing)\b|starcoder|codestral/i.test(model.value?.id ?? "")) return CODING;
  return props.value?.chat_template_caps.supports_preserve_reasoning ? THINKING : GENERAL;
});

/** Questions for a model that answers; none for one that only goes on with text. */
export const questions = computed((): readonly string[] => (isBase.value ? [] : beginnings.value.questions));

export const pictureQuestions = computed((): readonly string[] => (senses.value.sees && !isBase.value ? beginnings.value.pictureQuestions : []));

export const openings = computed((): readonly string[] => beginnings.value.openings);
