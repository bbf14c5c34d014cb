// Which view is shown, as the address has it: `#chat/ID`, `#completion`, or nothing for a new conversation.

import { signal } from "@preact/signals";

export type Route = { view: "chat"; chat: string | null } | { view: "completion" };

export const route = signal<Route>(read());

addEventListener("hashchange", () => {
  route.value = read();
});

/** `instead`: the way back does not lead to what was there before. */
export function goTo(to: Route, instead = false): void {
  const hash = to.view === "completion" ? "#completion" : to.chat ? `#chat/${to.chat}` : "";
  if (hash !== location.hash) history[instead ? "replaceState" : "pushState"](null, "", hash || location.pathname + location.search);
  route.value = to;
}

addEventListener("popstate", () => {
  route.value = read();
});

function read(): Route {
  const [view, chat] = location.hash.slice(1).split("/");
  return view === "completion" ? { view } : { view: "chat", chat: view === "chat" && chat ? chat : null };
}
