// What is open, which model answers, and how full its context is.

import { running } from "../state/answering";
import { chat, path, startChat } from "../state/chats";
import { theme, type Theme } from "../state/preferences";
import { isListOpen } from "../state/layout";
import { route } from "../state/route";
import { choose, contextSize, model, writers } from "../state/server";
import { Icon, type IconName } from "../parts/Icon";
import { Name } from "../parts/Name";
import { openAbout } from "./About";
import { openSettings } from "./Settings";

export function Header() {
  return (
    <header class="header">
      <button type="button" class="quiet icon narrow" aria-label="Conversations" aria-expanded={isListOpen.value} onClick={() => (isListOpen.value = true)}>
        <Icon name="menu" />
      </button>
      <div class="answering-model">
        <ModelChoice />
        <ContextMeter />
      </div>
      <ThemeButton />
      <button type="button" class="quiet icon" title="Settings" aria-label="Settings" onClick={openSettings}>
        <Icon name="settings" />
      </button>
      <button type="button" class="quiet icon narrow" title="New conversation" aria-label="New conversation" onClick={startChat}>
        <Icon name="plus" />
      </button>
    </header>
  );
}

function ModelChoice() {
  if (!model.value) return <span class="model" />;
  const title = "What this model is, and where programs ask it";
  if (writers.value.length < 2) {
    return <button type="button" class="quiet model" title={title} onClick={openAbout}><span><Name text={model.value.id} /></span></button>;
  }
  return (
    <span class="row">
    <select class="model" aria-label="Model" value={model.value.id} onChange={(event) => void choose(event.currentTarget.value)}>
      {writers.value.map((one) => <option key={one.id} value={one.id}>{one.id}</option>)}
    </select>
    <button type="button" class="quiet icon" title={title} aria-label={title} onClick={openAbout}><Icon name="info" /></button>
    </span>
  );
}

/** The share of the context from which on it is said that it is nearly full. */
const SHORT = 0.85;

function ContextMeter() {
  const size = contextSize.value;
  const used = usedTokens();
  if (!size || !used || route.value.view !== "chat") return null;
  const share = Math.min(used / size, 1);
  const isShort = share >= SHORT;
  const text = `${used.toLocaleString("en")} of ${size.toLocaleString("en")} tokens of context${isShort ? ": nearly full" : ""}`;
  return (
    <div class={isShort ? "context short" : "context"} title={text}>
      <span aria-hidden="true">{isShort ? "Context nearly full" : "Context"}</span>
      <meter class={isShort ? "full" : undefined} min={0} max={size} value={used} aria-label="Context in use" aria-valuetext={text} />
      <span aria-hidden="true">{used.toLocaleString("en")} of {size.toLocaleString("en")}</span>
    </div>
  );
}

/** Tokens of the conversation as far as it is shown: counted by the server with each answer. */
function usedTokens(): number {
  const answering = running.value.get(chat.value.id)?.turn.value;
  const last = path.value.findLast((one) => one.stats && one.id !== answering?.id);
  return last?.stats ? last.stats.promptTokens + last.stats.answerTokens : 0;
}

const THEMES: Record<Theme, { next: Theme; icon: IconName; name: string }> = {
  "": { next: "light", icon: "system", name: "as the system" },
  light: { next: "dark", icon: "sun", name: "light" },
  dark: { next: "", icon: "moon", name: "dark" },
};

function ThemeButton() {
  const { next, icon, name } = THEMES[theme.value];
  const label = `Colours: ${name}`;
  return (
    <button type="button" class="quiet icon wide" title={label} aria-label={label} onClick={() => (theme.value = next)}>
      <Icon name={icon} />
    </button>
  );
}
