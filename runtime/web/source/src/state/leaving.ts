// What would be lost with the page: the browser asks before it is left.

import { computed, effect } from "@preact/signals";
import { running } from "./answering";
import { hasFiles } from "./drafts";

export function askBeforeLeaving(): void {
  const wouldLose = computed(() => running.value.size > 0 || hasFiles());
  effect(() => {
    if (!wouldLose.value) return;
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  });
}

function ask(event: Event): void {
  event.preventDefault();
}
