// What comes in from a file is checked: anybody may have written it. Each of these raises an Error that names the place.

export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function list(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(where);
  return value;
}

export function string(from: Json, name: string, where: string): string {
  const value = from[name];
  if (typeof value !== "string") throw wrong(`${where}.${name}`);
  return value;
}

export function number(from: Json, name: string, where: string): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${where}.${name}`);
  return value;
}

export function wrong(where: string): Error {
  return new Error(`this file is damaged: ${where} is not what it should be`);
}
