// What lies where on the page.

import { signal } from "@preact/signals";

/** Whether the list of conversations lies over a narrow page. A wide one always shows it. */
export const isListOpen = signal(false);
