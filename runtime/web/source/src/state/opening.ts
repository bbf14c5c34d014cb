// Where the page opens: a model that only goes on with text is shown where it can be seen doing so.

import { effect } from "@preact/signals";
import { chat } from "./chats";
import { goTo, route } from "./route";
import { isBase, props } from "./server";

/** Once the model is known, and only where nothing else was asked for: by the address, or by what has been written. */
export function openWhereItFits(isUntouched: () => boolean): void {
  const stop = effect(() => {
    if (!props.value) return;
    queueMicrotask(() => stop());
    const at = route.peek();
    if (isBase.value && at.view === "chat" && at.chat === null && chat.peek().leaf === null && isUntouched()) goTo({ view: "completion" }, true);
  });
}
