// Requests to the server that the page came from: the key that it asks for, and what its errors say.
// Refuses to know what is asked.

import { signal } from "@preact/signals";

/** What an error of the server has besides its words. */
export interface ErrorFields {
  /** How much of the model is loaded, from 0 to 1. */
  progress?: number;
  /** Where a prompt has no room: its tokens, and those that there is room for. */
  n_prompt_tokens?: number;
  n_ctx?: number;
}

/** The server answered with an error. `status` is HTTP's. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: ErrorFields = {},
  ) {
    super(message);
  }
}

/** The server did not answer, or left in the middle of an answer. */
export class Unreachable extends Error {}

const KEY = "loaf.key";

/** What is sent as the API key. It is kept as long as the tab, and nowhere else. */
export const key = signal(sessionStorage.getItem(KEY) ?? "");

export function useKey(value: string): void {
  key.value = value;
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Raises ServerError, Unreachable, and AbortError where `signal` says so. */
export async function request(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (key.value) headers["Authorization"] = `Bearer ${key.value}`;
  const options: RequestInit = { headers, cache: "no-store", signal: signal ?? null };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.method = "POST";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch((error: Error) => {
    throw error.name === "AbortError" ? error : new Unreachable("the server does not answer");
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

export async function getJson<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

async function errorOf(response: Response): Promise<ServerError> {
  try {
    const { error } = (await response.json()) as { error: ErrorFields & { message: string } };
    return new ServerError(response.status, error.message, error);
  } catch {
    // not an error of ours: what a proxy says is for nobody to read
    return new ServerError(response.status, `the server answered ${response.status} ${response.statusText}`.trim());
  }
}
