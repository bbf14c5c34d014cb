// What the server tells about itself and its models.

import { getJson, request } from "./http";

export interface Model {
  id: string;
  capabilities: string[];
  meta: { n_ctx?: number; n_ctx_train: number; n_params: number; size: number };
}

export interface Props {
  default_generation_settings: { params: Record<string, unknown>; n_ctx: number };
  modalities: { vision: boolean; audio: boolean };
  chat_template_caps: { supports_preserve_reasoning: boolean };
  model_description: string;
  model_ftype: string;
  build_info: string;
  /** `file` is the name of the file that was started; "" where the program runs from its source. */
  loaf: { version: string; file: string; machine: { processor: string }; backends: Verdict[]; models: ModelReport[] };
}

/** Whether a backend computes: "Vulkan", "CUDA", … */
export interface Verdict {
  backend: string;
  is_taken: boolean;
}

/** As --explain has it. */
export interface ModelReport {
  description: string;
  /** What the weights call themselves, or nothing. */
  title: string;
  license: string;
  has_chat_template: boolean;
  n_layers_on_gpus: number;
  n_ctx_train: number;
  n_slots: number;
  n_threads: number;
  weights: number;
}

const PATIENCE_MS = 4000;

/** Ends without an error once every model is loaded; a 503 says what is still to wait for. */
export async function health(): Promise<void> {
  await request("health", undefined, AbortSignal.timeout(PATIENCE_MS));
}

export async function models(): Promise<Model[]> {
  return (await getJson<{ data: Model[] }>("v1/models")).data;
}

export async function props(model: string): Promise<Props> {
  return getJson<Props>(`props?model=${encodeURIComponent(model)}`);
}
