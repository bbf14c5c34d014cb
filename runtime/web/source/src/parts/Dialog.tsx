// A window over the page: it has a title, and is closed by its button, by Esc, and by a click beside it.

import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./Icon";

interface DialogProps {
  /** Also names its elements. */
  name: string;
  isOpen: Signal<boolean>;
  title: ComponentChildren;
  closing: string;
  children: ComponentChildren;
}

/** Its children are made when it is opened. */
export function Dialog({ name, isOpen, title, closing, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen.value) dialog.current!.showModal();
    else dialog.current!.close();
  }, [isOpen.value]);
  const closeBeside = (event: MouseEvent): void => {
    if (event.target === event.currentTarget) dialog.current!.close();
  };
  return (
    <dialog ref={dialog} class={name} aria-labelledby={`${name}-title`} onClose={() => (isOpen.value = false)} onClick={closeBeside}>
      {isOpen.value && (
        <div class="inside">
          <header>
            <h2 id={`${name}-title`}>{title}</h2>
            <button type="button" class="quiet icon" aria-label={closing} onClick={() => dialog.current!.close()}><Icon name="close" /></button>
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}
