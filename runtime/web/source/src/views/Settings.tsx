// What the open conversation asks of the model, and how tokens are chosen in all of them.

import { signal, useSignal } from "@preact/signals";
import { change, chat, isKept } from "../state/chats";
import { exportOne } from "../state/files";
import { effort, EFFORTS, type Effort, FIRST, SAMPLING, sampling, type Setting, type Theme, theme } from "../state/preferences";
import { props } from "../state/server";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";

const isOpen = signal(false);

export function openSettings(): void {
  isOpen.value = true;
}

export function Settings() {
  return (
    <Dialog name="settings" isOpen={isOpen} title="Settings" closing="Close the settings">
      <SystemPrompt />
      <section>
        <h3>All conversations</h3>
        {SAMPLING.slice(0, FIRST).map((one) => <Field key={one.name} setting={one} />)}
        {props.value?.chat_template_caps.supports_preserve_reasoning && <EffortField />}
        <ThemeField />
      </section>
      <details>
        <summary>More sampling</summary>
        <section>
          {SAMPLING.slice(FIRST).map((one) => <Field key={one.name} setting={one} />)}
        </section>
      </details>
      <ToDefaults />
      <details>
        <summary>JSON schema and tools</summary>
        <section>
          <JsonField name="schema" title="JSON schema" meaning="Answers of this conversation can then be nothing but JSON that follows it." accepts={isObject} />
          <JsonField name="tools" title="Tools" meaning="A JSON list of functions that the model may call, as OpenAI's API takes it. You say what a call came to." accepts={Array.isArray} />
        </section>
      </details>
      {isKept(chat.value) && <button type="button" onClick={() => void exportOne(chat.value)}><Icon name="export" /> Export this conversation</button>}
    </Dialog>
  );
}

/** What was written into fields and cannot be, by the names of their settings. */
const refused = signal<Record<string, string>>({});

function ToDefaults() {
  const isThere = Object.keys(sampling.value).length > 0 || Object.values(refused.value).some(Boolean);
  const go = (): void => {
    sampling.value = {};
    refused.value = {};
  };
  return <button type="button" disabled={!isThere} onClick={go}>Back to the default sampling</button>;
}

function SystemPrompt() {
  return (
    <section>
      <h3>This conversation</h3>
      <label class="field">
        System prompt
        <small id="about-system">Who the model is to be, and what it is to keep in mind. It comes before every question.</small>
        <textarea rows={3} aria-describedby="about-system" value={chat.value.system} onChange={(event) => void change({ system: event.currentTarget.value })} />
      </label>
    </section>
  );
}

interface JsonFieldProps {
  name: "schema" | "tools";
  title: string;
  meaning: string;
  accepts: (value: unknown) => boolean;
}

/** Takes JSON or nothing; what is neither is told, and not taken. */
function JsonField({ name, title, meaning, accepts }: JsonFieldProps) {
  const problem = useSignal("");
  const take = (text: string): void => {
    problem.value = text.trim() ? problemOf(text, accepts) : "";
    if (!problem.value) void change({ [name]: text.trim() });
  };
  return (
    <label class="field">
      {title}
      <small id={`about-${name}`}>{meaning}</small>
      <textarea rows={3} class="mono" spellcheck={false} aria-describedby={`about-${name} problem-${name}`} aria-invalid={Boolean(problem.value)} defaultValue={chat.value[name]} onChange={(event) => take(event.currentTarget.value)} />
      <span id={`problem-${name}`} class="problem" role="alert">{problem}</span>
    </label>
  );
}

function problemOf(text: string, accepts: (value: unknown) => boolean): string {
  try {
    return accepts(JSON.parse(text)) ? "" : "This is JSON, but not of the form that is asked for. It is not used.";
  } catch (error) {
    return `This is not JSON, and is not used: ${(error as Error).message}`;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ThemeField() {
  return (
    <label class="field number">
      <span>Colours</span>
      <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
        <option value="">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}

function EffortField() {
  return (
    <label class="field">
      Thinking
      <small>How much the model thinks before it answers.</small>
      <select value={effort.value} onChange={(event) => (effort.value = event.currentTarget.value as Effort)}>
        <option value="">as the model does</option>
        {EFFORTS.map((one) => <option key={one} value={one}>{one}</option>)}
      </select>
    </label>
  );
}

/** Takes a number that can be, or nothing; what cannot be stays, is told, and not used. */
function Field({ setting }: { setting: Setting }) {
  const { name, title, meaning, min, max, step } = setting;
  const written = refused.value[name] ?? "";
  const take = (field: HTMLInputElement): void => {
    const { [name]: _before, ...others } = sampling.value;
    const isTaken = field.value !== "" && isPossible(setting, field.valueAsNumber);
    if (field.value === "") field.value = ""; // what is no number at all
    refused.value = { ...refused.value, [name]: isTaken ? "" : field.value };
    sampling.value = isTaken ? { ...others, [name]: field.valueAsNumber } : others;
  };
  return (
    <label class="field number">
      <span>{title}</span>
      <input type="number" min={min} max={max} step={step} placeholder={byDefault(name)} aria-describedby={`about-${name} problem-${name}`} aria-invalid={Boolean(written)} value={written || (sampling.value[name] ?? "")} onChange={(event) => take(event.currentTarget)} />
      <small id={`about-${name}`}>{meaning}</small>
      <span id={`problem-${name}`} class="problem" role="alert">{written && `${written} is not used: ${possible(setting)}.`}</span>
    </label>
  );
}

function isPossible({ min, max, step, without }: Setting, value: number): boolean {
  return value >= min && value <= max && value !== without && (step < 1 || Number.isInteger(value));
}

function possible({ min, max, step, without }: Setting): string {
  const but = without === undefined ? "" : `, but not ${without}`;
  return `it can be ${step < 1 ? "a number" : "a whole number"} from ${min} to ${max.toLocaleString("en")}${but}`;
}

function byDefault(name: string): string {
  const value = props.value?.default_generation_settings.params[name];
  if (name === "seed" || typeof value !== "number") return "default";
  return value === -1 ? "default: none" : `default: ${Math.round(value * 1000) / 1000}`;
}
