// What one could begin with, so that it fits the model: questions, code, or a text to go on with.

import { computed } from "@preact/signals";
import { isBase, model, props, senses } from "./server";

const QUESTIONS = ["Who was the first man on the moon?", "Why is the sky blue?", "Write a haiku about bread."];
const PROBLEMS = ["How many days lie between 3 March and 17 May?", "Why is the sky blue?", "Which is larger, 9.11 or 9.9, and why?"];
const PROGRAMS = ["Write a function that reverses a string.", "What does `git rebase` do?", "Explain recursion with an example."];

/** Questions for a model that answers; none for one that only goes on with text. */
export const questions = computed((): readonly string[] => {
  if (isBase.value) return [];
  if (isOfCode()) return PROGRAMS;
  return props.value?.chat_template_caps.supports_preserve_reasoning ? PROBLEMS : QUESTIONS;
});

/** What one could ask about a picture, for a model that sees. */
export const pictureQuestions = computed((): readonly string[] => (senses.value.sees && !isBase.value ? ["What is in this picture?"] : []));

/** Texts to go on with. */
export const openings = computed((): readonly string[] =>
  isOfCode() ? ["def fibonacci(n):", "// Sorts a list\nfunction sort(", "SELECT name FROM"] : ["The first man on the moon was", "Once upon a time", "The three largest cities of Europe are"],
);

function isOfCode(): boolean {
  return /cod(e|er|ing)\b|starcoder|codestral/i.test(model.value?.id ?? "");
}
