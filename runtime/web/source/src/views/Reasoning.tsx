// What a model thought before it answered: folded, but for a glimpse while it thinks.

import { Markdown } from "../markdown/Markdown";

export function Reasoning({ text, isRunning }: { text: string; isRunning: boolean }) {
  return (
    <details class="reasoning">
      <summary>{isRunning ? "Thinking …" : "Thoughts"}</summary>
      <Markdown text={text} />
    </details>
  );
}
