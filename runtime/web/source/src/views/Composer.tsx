// Where the next message is written: text, files, and the button that sends or stops.

import { signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { attachmentOf } from "../attaching/attachment";
import { canRecord } from "../attaching/recording";
import { ask, running } from "../state/answering";
import { chat, isComing, isLoaded } from "../state/chats";
import { change, draftIn, drop } from "../state/drafts";
import { answeredElsewhere, stopWherever } from "../state/elsewhere";
import { condition, senses, writers } from "../state/server";
import { Icon } from "../parts/Icon";
import { focusMessage, sends } from "../parts/keyboard";
import { type Fit, fitOf } from "../state/fitting";
import { Chips } from "./Chips";
import { VoiceNote } from "./VoiceNote";

const problem = signal("");

/** Say above the field what went wrong with a file. */
export function complain(said: string): void {
  problem.value = said;
}

export function Composer() {
  const { id } = chat.value;
  const { text, attachments } = draftIn(id);
  /** Files that are being read. */
  const reading = useSignal<readonly string[]>([]);
  const fit = useSignal<Fit | null>(null);
  const isOver = useSignal(false);
  /** Whether the message goes off as soon as the model is there. */
  const isWaiting = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const isRunning = running.value.has(id) || answeredElsewhere.value.has(id);
  const isReady = condition.value === "ready" && writers.value.length > 0 && isLoaded.value && !isComing.value;
  const canSend = !isRunning && !reading.value.length && Boolean(text.trim() || attachments.length);

  useLayoutEffect(() => field.current!.focus({ preventScroll: true }), []);
  useLayoutEffect(() => grow(field.current!), [text]);
  useEffect(() => {
    if (isReady && isWaiting.value) send();
  }, [isReady]);

  useEffect(() => {
    fit.value = null;
    if (!isReady || !attachments.some((one) => one.kind === "text")) return;
    let isWanted = true;
    void fitOf(text, attachments).then((found) => isWanted && (fit.value = found));
    return () => {
      isWanted = false;
    };
  }, [attachments, isReady]);

  const write = (value: string): void => {
    change(id, { text: value });
    isWaiting.value = false;
  };
  const send = (event?: Event): void => {
    event?.preventDefault();
    if (!canSend) return;
    isWaiting.value = !isReady;
    if (!isReady) return;
    drop(id);
    problem.value = "";
    void ask(text.trim(), attachments);
  };
  const attach = async (files: Iterable<File>): Promise<void> => {
    const problems: string[] = [];
    for (const file of files) {
      reading.value = [...reading.value, file.name];
      try {
        const attachment = await attachmentOf(file, senses.value);
        change(id, { attachments: [...draftIn(id).attachments, attachment] }); // another conversation may be open by now
      } catch (error) {
        problems.push(`${file.name}: ${(error as Error).message}`);
      }
      reading.value = reading.value.filter((name) => name !== file.name);
    }
    problem.value = problems.join("\n");
    field.current?.focus();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (sends(event)) send(event);
  };
  const onPaste = (event: ClipboardEvent): void => {
    const files = Array.from(event.clipboardData?.files ?? []);
    if (!files.length) return;
    event.preventDefault();
    void attach(files);
  };
  const onDrag = (event: DragEvent): void => {
    if (!event.dataTransfer?.types.includes("Files")) return; // words that are moved about
    event.preventDefault();
    isOver.value = event.type === "dragover";
    if (event.type === "drop") void attach(Array.from(event.dataTransfer.files));
  };
  // Wherever it is dropped: elsewhere the browser would leave the page, and show the file in its place.
  useEffect(() => {
    const kinds = ["dragover", "dragleave", "drop"] as const;
    for (const kind of kinds) document.addEventListener(kind, onDrag);
    return () => kinds.forEach((kind) => document.removeEventListener(kind, onDrag));
  }, []);

  return (
    <div class="bottom">
      {problem.value && <p class="problem column" role="alert">{problem}</p>}
      <form class={`composer column${isOver.value ? " over" : ""}`} onSubmit={send}>
        <Chips attachments={attachments} onRemove={(one) => change(id, { attachments: attachments.filter((other) => other !== one) })} />
        {reading.value.length > 0 && <p class="fit" role="status">Reading {reading.value.join(", ")} …</p>}
        {fit.value && <FitLine fit={fit.value} />}
        <textarea
          id="message"
          ref={field}
          rows={1}
          autoFocus
          placeholder="Ask something"
          aria-label="Message"
          value={text}
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={onKey}
          onPaste={onPaste}
        />
        <div class="row">
          <FilePicker onFiles={(files) => void attach(files)} />
          {senses.value.hears && canRecord() && <VoiceNote onFile={(file) => void attach([file])} onProblem={(told) => (problem.value = told)} />}
          <span class="hint">
            <span role="status">{isWaiting.value && "Goes off as soon as the model is ready"}</span>
            {!isWaiting.value && <span class="usual">{isRunning ? "Can be sent when the answer is complete; Esc stops it" : "Enter sends, Shift+Enter begins a line"}</span>}
          </span>
          {/* Keys: were it one button, the press that stops would also be one that sends. */}
          {isRunning ? (
            <button key="stop" type="button" class="primary icon round" title="Stop (Esc)" aria-label="Stop" onClick={stopIt}><Icon name="stop" /></button>
          ) : (
            <button key="send" type="submit" class="primary icon round" title="Send" aria-label="Send" disabled={!canSend}><Icon name="send" /></button>
          )}
        </div>
      </form>
    </div>
  );
}

function stopIt(): void {
  stopWherever();
  focusMessage();
}

/** How much of the context the message takes, said before it is sent. */
function FitLine({ fit: { tokens, context } }: { fit: Fit }) {
  if (tokens < context) {
    return <p class="fit" role="status">With what is attached: {tokens.toLocaleString("en")} of {context.toLocaleString("en")} tokens of context.</p>;
  }
  return (
    <p class="fit problem" role="alert">
      This does not fit: with the conversation it is {tokens.toLocaleString("en")} tokens, and the context has {context.toLocaleString("en")}. Leave
      something out, or start the file with a larger <code>--ctx-size</code>.
    </p>
  );
}

function FilePicker({ onFiles }: { onFiles: (files: File[]) => void }) {
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const { sees, hears } = senses.value;
  const label = `Attach a ${[...(sees ? ["picture"] : []), ...(hears ? ["sound"] : []), "PDF", "Word"].join(", ")} or text file`;
  const take = (event: Event): void => {
    const from = event.currentTarget as HTMLInputElement;
    const files = Array.from(from.files ?? []);
    from.value = "";
    onFiles(files);
  };
  return (
    <>
      <input ref={picker} type="file" multiple hidden aria-label="Files to attach" onChange={take} />
      <button type="button" class="quiet icon" title={label} aria-label={label} onClick={() => picker.current!.click()}><Icon name="attach" /></button>
      {sees && (
        <>
          <input ref={camera} type="file" accept="image/*" capture="environment" hidden aria-label="Photo to attach" onChange={take} />
          <button type="button" class="quiet icon camera" title="Take a photo" aria-label="Take a photo" onClick={() => camera.current!.click()}><Icon name="camera" /></button>
        </>
      )}
    </>
  );
}

/** As high as its text, which CSS bounds. */
function grow(field: HTMLTextAreaElement): void {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
