// Which keys send, and where the focus goes when what had it is gone.

/** Whether this is worked with fingers, whose keyboards have no Shift+Enter. */
export function isTouched(): boolean {
  return matchMedia("(pointer: coarse)").matches;
}

/** Enter sends; with fingers it begins a line, and Ctrl+Enter sends. */
export function sends(event: KeyboardEvent): boolean {
  if (event.key !== "Enter" || event.isComposing) return false;
  return event.ctrlKey || event.metaKey || (!event.shiftKey && !isTouched());
}

/** To where the next message is written. With fingers it would bring up a keyboard that nobody asked for. */
export function focusMessage(): void {
  if (!isTouched()) document.getElementById("message")?.focus({ preventScroll: true });
}
