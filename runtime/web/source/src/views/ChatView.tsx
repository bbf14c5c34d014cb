// The open conversation, from its first turn to the place for the next one.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Turn } from "../chats/types";
import { ask, running } from "../state/answering";
import { chat, isComing, isLoaded, path } from "../state/chats";
import { pictureQuestions, questions } from "../state/beginnings";
import { summary } from "../state/facts";
import { condition, isBase, model, senses } from "../state/server";
import { Icon, Loaf } from "../parts/Icon";
import { Name } from "../parts/Name";
import { attachmentOf } from "../attaching/attachment";
import { Composer, complain } from "./Composer";
import { TurnView } from "./TurnView";

export function ChatView() {
  return (
    <main class="chat">
      <h1 class="offscreen">{chat.value.title || "New conversation"}</h1>
      {path.value.length ? <Turns key={chat.value.id} /> : isComing.value ? <div class="welcome" /> : <Welcome />}
      <Composer key={chat.value.id} />
    </main>
  );
}

function Turns() {
  const { place, isAtEnd, toEnd } = useEnd();
  const isBusy = running.value.has(chat.value.id);
  return (
    <>
      <div class="turns" ref={place} tabIndex={0} role="log" aria-label="Turns" aria-busy={isBusy} aria-live="off">
        <div class="column">
          {stretches(path.value).map((turns, i) => (
            <div key={i} class="stretch">
              {turns.map((turn) => <TurnView key={turn.id} turn={turn} />)}
            </div>
          ))}
        </div>
      </div>
      {!isAtEnd && (
        <button type="button" class="to-end icon" aria-label="To the end" title="To the end" onClick={toEnd}>
          <Icon name="down" />
        </button>
      )}
    </>
  );
}

const STRETCH = 16;

/** The turns in stretches, which are out of sight as a whole: for each frame the browser asks each of them, and not each turn. */
function stretches(turns: readonly Turn[]): Turn[][] {
  const all: Turn[][] = [];
  for (let i = 0; i < turns.length; i += STRETCH) all.push(turns.slice(i, i + STRETCH));
  return all;
}

const NEAR_PX = 40;

/** Keeps the end in sight while an answer grows, unless the reader has scrolled away from it. */
function useEnd() {
  const place = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [isAtEnd, setAtEnd] = useState(true);
  const toEnd = (): void => {
    follows.current = true;
    place.current!.scrollTop = place.current!.scrollHeight;
  };
  useEffect(() => {
    const at = place.current!;
    let top = at.scrollTop;
    const onScroll = (): void => {
      const isNear = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_PX;
      if (isNear) follows.current = true;
      else if (at.scrollTop < top) follows.current = false;
      top = at.scrollTop;
      setAtEnd(isNear || follows.current);
    };
    const watcher = new ResizeObserver(() => {
      if (follows.current) at.scrollTop = at.scrollHeight;
      onScroll();
    });
    watcher.observe(at.firstElementChild!);
    watcher.observe(at);
    at.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      watcher.disconnect();
      at.removeEventListener("scroll", onScroll);
    };
  }, []);
  const count = path.value.length;
  useLayoutEffect(toEnd, [count]);
  return { place, isAtEnd, toEnd };
}

function Welcome() {
  return (
    <div class="welcome">
      <Loaf />
      <h2>{isBase.value ? "What is it to go on with?" : "What would you like to know?"}</h2>
      <p>{model.value ? <><strong><Name text={model.value.id} /></strong> answers, on {whose()}.</> : condition.value === "away" ? "The server has gone away." : "Looking for the model …"}</p>
      <p class="facts">{summary.value || "\u00a0"}</p>
      {isBase.value && (
        <p>
          It is a base model: it goes on with text, and was not taught to answer. <a href="#completion">Completion</a> shows it
          as it is; here it gets what you write as lines of a conversation.
        </p>
      )}
      <ul aria-label="Questions to begin with">
        {pictureQuestions.value.map((question) => <PictureQuestion key={question} question={question} />)}
        {questions.value.map((question) => (
          <li key={question}>
            <button type="button" disabled={condition.value !== "ready" || !isLoaded.value} onClick={() => void ask(question, [])}>{question}</button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A question that is asked as soon as its picture has been chosen. */
function PictureQuestion({ question }: { question: string }) {
  const picker = useRef<HTMLInputElement>(null);
  const show = async (event: Event): Promise<void> => {
    const from = event.currentTarget as HTMLInputElement;
    const file = from.files?.[0];
    from.value = "";
    if (!file) return;
    try {
      const picture = await attachmentOf(file, senses.value);
      await ask(question, [picture]);
    } catch (error) {
      complain(`${file.name}: ${(error as Error).message}`);
    }
  };
  return (
    <li>
      <input ref={picker} type="file" accept="image/*" hidden aria-label={`Picture for: ${question}`} onChange={(event) => void show(event)} />
      <button type="button" disabled={condition.value !== "ready" || !isLoaded.value} onClick={() => picker.current!.click()}><Icon name="attach" /> {question}</button>
    </li>
  );
}

function whose(): string {
  return /^(localhost|127\.|\[::1\])/.test(location.hostname) ? "this machine" : location.host;
}
