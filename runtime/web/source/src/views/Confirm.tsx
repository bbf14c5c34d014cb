// One question with two answers.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Whether the reader agreed. */
export function confirmed(question: string, consequence: string, action: string): Promise<boolean> {
  const place = document.createElement("div");
  document.body.append(place);
  return new Promise((resolve) => {
    const end = (value: boolean): void => {
      render(null, place);
      place.remove();
      resolve(value);
    };
    render(<Confirm question={question} consequence={consequence} action={action} onEnd={end} />, place);
  });
}

interface Question {
  question: string;
  consequence: string;
  action: string;
  onEnd: (value: boolean) => void;
}

function Confirm({ question, consequence, action, onEnd }: Question) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} class="small" aria-labelledby="question" onClose={() => onEnd(dialog.current!.returnValue === "yes")}>
      <h2 id="question">{question}</h2>
      <p>{consequence}</p>
      <div class="row end">
        <button type="button" onClick={() => dialog.current!.close("no")}>Cancel</button>
        <button type="button" class="danger" onClick={() => dialog.current!.close("yes")}>{action}</button>
      </div>
    </dialog>
  );
}
