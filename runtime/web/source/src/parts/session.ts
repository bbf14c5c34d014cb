// What one tab remembers over a reload, or over having been put away by a phone: sessionStorage, where there is any.

/** Null where nothing was kept, or nothing that can be read. */
export function recalled(name: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(`loaf.${name}`) ?? "null");
  } catch {
    return null;
  }
}

/** As far as there is room: what is kept here is a copy. */
export function remember(name: string, value: unknown): void {
  try {
    sessionStorage.setItem(`loaf.${name}`, JSON.stringify(value));
  } catch {
    // full, or refused: the page has it still
  }
}
