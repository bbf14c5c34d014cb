// The server wants a key: nothing else can be done before it has one.

import { useEffect, useRef } from "preact/hooks";
import { giveKey, reason } from "../state/server";

export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const given = field.current!.value.trim();
    if (given) void giveKey(given);
  };
  return (
    <dialog ref={dialog} class="small" aria-labelledby="key-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submit}>
        <h2 id="key-title">This server asks for a key</h2>
        <p>Whoever started it has set one with <code>--api-key</code>. It is kept until this tab is closed.</p>
        <label class="field">
          Key
          <input ref={field} type="password" autocomplete="current-password" autoFocus aria-describedby="key-problem" />
        </label>
        <p id="key-problem" class="problem" role="alert">{reason}</p>
        <div class="row end">
          <button type="submit" class="primary">Continue</button>
        </div>
      </form>
    </dialog>
  );
}
