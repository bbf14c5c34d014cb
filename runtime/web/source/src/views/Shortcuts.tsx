// The keys that do something, on "?".

import { signal } from "@preact/signals";
import { Dialog } from "../parts/Dialog";
import { isTouched } from "../parts/keyboard";

const isOpen = signal(false);

export function openShortcuts(): void {
  isOpen.value = true;
}

type Row = readonly [string, readonly string[]];

const sending = (): readonly Row[] => [
  ["Send the message", isTouched() ? ["Ctrl", "Enter"] : ["Enter"]],
  ["Begin a line", isTouched() ? ["Enter"] : ["Shift", "Enter"]],
];

const OTHERS: readonly Row[] = [
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
      <Keys />
    </Dialog>
  );
}

function Keys() {
  return (
    <dl>
      {[...sending(), ...OTHERS].map(([does, keys]) => (
        <div key={does}>
          <dt>{does}</dt>
          <dd>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dd>
        </div>
      ))}
    </dl>
  );
}
