// Server-sent events: the objects of a stream, as they come.

import { type ErrorFields, ServerError, Unreachable } from "./http";

const DONE = "[DONE]";

const UNAVAILABLE = 503;

/** Raises Unreachable where the stream breaks off or the server says that it is leaving, and ServerError for an error in its middle. */
export async function* events<T extends object>(response: Response): AsyncGenerator<T> {
  for await (const line of lines(response)) {
    if (!line.startsWith("data: ")) continue;
    const data = line.slice("data: ".length);
    if (data === DONE) return;
    const value = JSON.parse(data) as T | Failure;
    if (isFailure(value)) throw errorOf(value);
    yield value;
  }
}

interface Failure {
  error: ErrorFields & { message: string; code?: number };
}

function errorOf({ error }: Failure): Error {
  return error.code === UNAVAILABLE ? new Unreachable(error.message) : new ServerError(error.code ?? 500, error.message, error);
}

function isFailure(value: object): value is Failure {
  return "error" in value;
}

async function* lines(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: Error) => {
        throw error.name === "AbortError" ? error : new Unreachable("the server left in the middle of the answer");
      });
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop()!;
      yield* parts;
    }
  } finally {
    reader.releaseLock();
  }
}
