// The page: conversations beside what is open, and whatever stands in the way of both.

import { useEffect } from "preact/hooks";
import { announcement } from "../state/answering";
import { startChat } from "../state/chats";
import { stopWherever } from "../state/elsewhere";
import { isListOpen } from "../state/layout";
import { route } from "../state/route";
import { condition } from "../state/server";
import { About } from "./About";
import { ChatView } from "./ChatView";
import { CompletionView } from "./CompletionView";
import { Header } from "./Header";
import { KeyDialog } from "./KeyDialog";
import { Notices } from "./Notices";
import { Settings } from "./Settings";
import { openShortcuts, Shortcuts } from "./Shortcuts";
import { focusSearch, Sidebar } from "./Sidebar";

export function App() {
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <a class="skip" href="#message" onClick={skipToMessage}>Skip to the message</a>
      <Sidebar />
      <div class="page">
        <Header />
        <Notices />
        {route.value.view === "completion" ? <CompletionView /> : <ChatView />}
      </div>
      {condition.value === "locked" && <KeyDialog />}
      <Settings />
      <About />
      <Shortcuts />
      <div class="offscreen" role="status">{announcement.value}</div>
    </>
  );
}

function skipToMessage(event: Event): void {
  event.preventDefault();
  document.getElementById("message")?.focus();
}

function onKey(event: KeyboardEvent): void {
  if (event.key === "Escape") {
    if (isListOpen.value) isListOpen.value = false;
    else if (!document.querySelector("dialog[open]")) stopWherever();
  } else if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    focusSearch();
  } else if (event.altKey && event.key === "n") {
    event.preventDefault();
    startChat();
    document.getElementById("message")?.focus();
  } else if (event.key === "?" && !isText(event.target) && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    openShortcuts();
  }
}

/** Where "?" is a letter. In an empty message it is none: that has the focus from the beginning. */
function isText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement)) return false;
  return target.value !== "" || target.id !== "message";
}
