// One turn of the conversation, and what can be done with it.

import { type ReadonlySignal, useComputed } from "@preact/signals";
import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Turn } from "../chats/types";
import { answer, answerAgain, askInstead, resume, running } from "../state/answering";
import { branch, isLast, schema, show, siblings } from "../state/chats";
import { change, draftIn, drop, edit, isEdited, isPutAway, putAway } from "../state/drafts";
import { answeredElsewhere } from "../state/elsewhere";
import { isFull } from "../state/fitting";
import { condition } from "../state/server";
import { Markdown } from "../markdown/Markdown";
import { CopyButton } from "../parts/CopyButton";
import { Icon, type IconName } from "../parts/Icon";
import { focusMessage, sends } from "../parts/keyboard";
import { Calls } from "./Calls";
import { Chips } from "./Chips";
import { FullContext, LeftOut } from "./FullContext";
import { JsonAnswer } from "./JsonAnswer";
import { Reasoning } from "./Reasoning";
import { StatsLine } from "./StatsLine";

/** Drawn again only when the turn has become another one, or what it reads has: a long conversation has hundreds. */
export class TurnView extends Component<{ turn: Turn }> {
  override shouldComponentUpdate(next: { turn: Turn }): boolean {
    return next.turn !== this.props.turn;
  }

  override render({ turn }: { turn: Turn }): ComponentChildren {
    if (turn.role === "user") return <Question turn={turn} />;
    if (turn.role === "tool") return null; // shown with the call that it answers
    return <GivenOrComing turn={turn} />;
  }
}

function GivenOrComing({ turn }: { turn: Turn }) {
  const isRunning = useComputed(() => running.value.get(turn.chat)?.turn.peek().id === turn.id).value;
  const live = isRunning ? running.peek().get(turn.chat)?.turn : undefined;
  return <Answer turn={live ? live.value : turn} isRunning={isRunning} />;
}

function Question({ turn }: { turn: Turn }) {
  const isEditing = useComputed(() => isEdited(turn)).value;
  const isLeft = useComputed(() => isPutAway(turn)).value;
  const isEnd = useComputed(() => isLast(turn)).value;
  return (
    <article class="turn user" aria-label="You">
      {isEditing ? (
        <Editing turn={turn} />
      ) : (
        <div class="bubble">
          <Chips attachments={turn.attachments ?? []} />
          {turn.text}
        </div>
      )}
      <div class="actions">
        <Branches turn={turn} />
        <CopyButton text={turn.text} label="Copy" />
        <Action name="edit" icon="edit" label="Edit and send again" onClick={() => edit(turn)} />
        {isEnd && <Action icon="retry" label="Answer" onClick={() => goOn(() => answer(turn.id))} />}
      </div>
      {isLeft && (
        <p class="put-away">
          <span role="status">Your edit is kept.</span>
          <button type="button" class="quiet" onClick={() => edit(turn)}>Go on editing</button>
          <button type="button" class="quiet" onClick={(event) => endEdit(event.currentTarget, () => drop(turn.id))}>Discard</button>
        </p>
      )}
    </article>
  );
}

/** What is written here stays until it is sent or given up, whatever else is opened meanwhile. */
function Editing({ turn }: { turn: Turn }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const isSending = useRef(false);
  const { text, attachments } = draftIn(turn.id, turn.attachments);
  const canSend = condition.value === "ready" && Boolean(text.trim() || attachments.length);
  useEffect(() => field.current!.focus(), []);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!canSend || isSending.current) return;
    isSending.current = true;
    if (await askInstead(turn, text.trim(), attachments)) {
      drop(turn.id);
      focusMessage();
    }
    isSending.current = false;
  };
  const onKey = (event: KeyboardEvent): void => {
    if (sends(event)) void send(event);
    if (event.key !== "Escape") return;
    event.stopPropagation();
    endEdit(field.current!, () => putAway(turn));
  };
  return (
    <form class="editing" onSubmit={(event) => void send(event)}>
      <Chips attachments={attachments} onRemove={(one) => change(turn.id, { attachments: attachments.filter((other) => other !== one) })} />
      <textarea ref={field} aria-label="Edit the message" rows={Math.min(turn.text.split("\n").length + 1, 12)} value={text} onInput={(event) => change(turn.id, { text: event.currentTarget.value })} onKeyDown={onKey} />
      <div class="row end">
        <button type="button" onClick={() => endEdit(field.current!, () => drop(turn.id))}>Cancel</button>
        <button type="submit" class="primary" disabled={!canSend}>Send</button>
      </div>
    </form>
  );
}

/** Has `end` take away where the focus was, `within` a turn: it goes on where the edit was begun. */
function endEdit(within: HTMLElement, end: () => void): void {
  const its = within.closest(".turn")!;
  end();
  requestAnimationFrame(() => its.querySelector<HTMLElement>(".edit")?.focus()); // once the turn has been drawn again
}

function Answer({ turn, isRunning }: { turn: Turn; isRunning: boolean }) {
  const isBusy = useComputed(() => running.value.has(turn.chat) || answeredElsewhere.value.has(turn.chat));
  const isWaiting = isRunning && !turn.text && !turn.reasoning && !turn.calls;
  return (
    <article class={isRunning ? "turn assistant answering" : "turn assistant"} aria-label={turn.model ?? "Answer"} aria-busy={isRunning}>
      {turn.leftOut && <LeftOut count={turn.leftOut} />}
      {turn.reasoning && <Reasoning text={turn.reasoning} isRunning={isRunning && !turn.text && !turn.calls} />}
      {isWaiting && <Waiting turn={turn} />}
      {turn.text && (schema.value ? <JsonAnswer text={turn.text} isRunning={isRunning} /> : <Markdown text={turn.text} />)}
      {turn.calls && <Calls turn={turn} calls={turn.calls} isRunning={isRunning} />}
      {!isRunning && <Ended turn={turn} />}
      <div class="actions">
        {!isRunning && (
          <>
            <Branches turn={turn} />
            <CopyButton text={turn.text} label="Copy" />
            <Action icon="retry" label="Answer again" isDisabled={isBusy} onClick={() => goOn(() => answerAgain(turn))} />
            <Action icon="branch" label="Branch into a new conversation" onClick={() => void branch(turn)} />
          </>
        )}
        <StatsLine turn={turn} isRunning={isRunning} />
      </div>
    </article>
  );
}

/** What began it goes away: the reader goes on where the next message is written. */
function goOn(begin: () => Promise<void>): void {
  void begin();
  focusMessage();
}

function Waiting({ turn }: { turn: Turn }) {
  const read = running.value.get(turn.chat)?.read.value ?? null;
  return (
    <p class="waiting">
      <span class="dots" aria-hidden="true" />
      <span>Reading the question{read !== null && read > 0 && read < 1 ? `, ${Math.round(read * 100)} %` : ""}</span>
    </p>
  );
}

const ENDINGS: Record<string, string> = {
  length: "The answer reached its longest length.",
  stopped: "Stopped.",
  lost: "The server left before the answer was complete.",
  cut: "Cut off when the page was reloaded.",
};

/** Why the answer is not a whole one, and the way on. */
function Ended({ turn }: { turn: Turn }) {
  const isEnd = useComputed(() => isLast(turn)).value;
  if (turn.ending === "complete") return null;
  if (!turn.ending && answeredElsewhere.value.has(turn.chat)) return <p class="ended" role="status">Being answered in another tab …</p>;
  if (isFull(turn)) return <FullContext turn={turn} isLast={isEnd} />;
  const canGoOn = isEnd && turn.ending !== "error" && turn.text && !turn.calls && !schema.value;
  const text = turn.ending === "error" ? (turn.error ?? "The answer failed.") : (ENDINGS[turn.ending ?? "cut"] ?? "");
  return (
    <p class={turn.ending === "error" ? "ended problem" : "ended"}>
      <span>{text}</span>
      {canGoOn && <button type="button" disabled={condition.value !== "ready"} onClick={() => goOn(() => resume(turn))}><Icon name="play" /> Continue</button>}
      {isEnd && !canGoOn && <button type="button" disabled={condition.value !== "ready"} onClick={() => goOn(() => answerAgain(turn))}><Icon name="retry" /> Try again</button>}
    </p>
  );
}

/** Which of several turns at this place is shown, and the way to the others. */
function Branches({ turn }: { turn: Turn }) {
  const place = useComputed(() => placeOf(turn)).value;
  if (!place) return null;
  const [at, count] = place.split("/").map(Number) as [number, number];
  const move = (by: number): void => void show(siblings(turn)[at - 1 + by]!);
  return (
    <span class="branches">
      <Action icon="back" label="Previous branch" isDisabled={at === 1} onClick={() => move(-1)} />
      <span aria-label={`Branch ${at} of ${count}`} role="img">{place}</span>
      <Action icon="forward" label="Next branch" isDisabled={at === count} onClick={() => move(1)} />
    </span>
  );
}

/** "2/3", where it stands among those in its place; nothing where it stands alone. A text, which is the same one if it says the same. */
function placeOf(turn: Turn): string {
  const all = siblings(turn);
  return all.length < 2 ? "" : `${all.findIndex((one) => one.id === turn.id) + 1}/${all.length}`;
}

function Action({ icon, label, onClick, isDisabled, name = "" }: { icon: IconName; label: string; onClick: () => void; isDisabled?: boolean | ReadonlySignal<boolean>; name?: string }) {
  return (
    <button type="button" class={`quiet icon ${name}`} title={label} aria-label={label} disabled={isDisabled ?? false} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
