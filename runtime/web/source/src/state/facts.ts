// What the model is, in words for people.

import { computed } from "@preact/signals";
import { contextSize, model, props, report } from "./server";

/** "134.5 million parameters · Q4_1 · context of 2,048 tokens · on the processor". */
export const summary = computed((): string => {
  if (!report.value || !model.value) return "";
  const [, parameters, quantization] = report.value.description.split(", ");
  return [parameters, quantization, `context of ${count(contextSize.value)} tokens`, report.value.n_layers_on_gpus ? "on the GPU" : "on the processor"].join(" · ");
});

/** The same and the rest, as names and values. */
export const facts = computed((): (readonly [string, string])[] => {
  const [told, of] = [report.value, props.value];
  if (!told || !of) return [];
  const [architecture, parameters, quantization] = told.description.split(", ");
  const n = contextSize.value;
  const whole = told.n_ctx_train > n ? `, of ${count(told.n_ctx_train)} that it was trained for` : "";
  const threads = told.n_layers_on_gpus ? "" : `, ${told.n_threads} ${told.n_threads === 1 ? "thread" : "threads"}`;
  return [
    ["Parameters", `${parameters?.replace(" parameters", "")} (${architecture})`],
    ["Quantization", quantization ?? ""],
    ["Weights", size(told.weights)],
    ["Context", `${count(n)} tokens${whole}`],
    ["Requests at once", `${told.n_slots}`],
    ["Computes on", `${device()}${threads}`],
    ["Chat template", told.has_chat_template ? "yes" : "none: a base model"],
    ["Licence", licence(told.license) || "not named in the file"],
    ["Served by", `loaf ${of.loaf.version}`],
  ];
});

/** Where programs ask: what OpenAI's clients call the base URL. */
export function addressForPrograms(): string {
  return new URL("v1", document.baseURI).href;
}

/** Hubs write "mit" and "cc-by-4.0" where people write capitals. */
function licence(id: string): string {
  return id.replace(/^apache\b/, "Apache").replace(/^(mit|isc|bsd|a?gpl|lgpl|mpl|cc0|cc)\b[a-z-]*/, (letters) => letters.toUpperCase());
}

function device(): string {
  const [told, of] = [report.value!, props.value!.loaf];
  const gpu = of.backends.find((one) => one.is_taken)?.backend;
  if (told.n_layers_on_gpus && gpu) return `the GPU (${gpu})`;
  return of.machine.processor ? `the processor (${of.machine.processor})` : "the processor";
}

function count(n: number): string {
  return n.toLocaleString("en");
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
