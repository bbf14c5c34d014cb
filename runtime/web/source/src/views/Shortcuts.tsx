// The keys that do something, on "?".

import { signal } from "@preact/signals";
import { Dialog } from "../parts/Dialog";

const isOpen = signal(false);

export function openShortcuts(): void {
  isOpen.value = true;
}

const SHORTCUTS: readonly (readonly [string, readonly string[]])[] = [
  ["Send the message", ["Enter"]],
  ["Begin a line", ["Shift", "Enter"]],
  ["Stop the answer", ["Esc"]],
  ["New conversation", ["Alt", "N"]],
  ["Search the conversations", ["Ctrl", "K"]],
  ["Complete the prompt", ["Ctrl", "Enter"]],
  ["From token to token", ["←", "→"]],
  ["This list", ["?"]],
];

export function Shortcuts() {
  return (
    <Dialog name="shortcuts" isOpen={isOpen} title="Shortcuts" closing="Close the shortcuts">
      <dl>
        {SHORTCUTS.map(([does, keys]) => (
          <div key={does}>
            <dt>{does}</dt>
            <dd>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
