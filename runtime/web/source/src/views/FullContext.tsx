// What is said where a conversation has no room any more, and the ways on.

import { useSignal } from "@preact/signals";
import type { Turn } from "../chats/types";
import { startChat } from "../state/chats";
import { answerWithoutOldest } from "../state/fitting";
import { condition } from "../state/server";
import { Icon } from "../parts/Icon";
import { focusMessage } from "../parts/keyboard";

export function FullContext({ turn, isLast }: { turn: Turn; isLast: boolean }) {
  const isTrying = useSignal(false);
  const problem = useSignal("");
  const shorten = async (): Promise<void> => {
    isTrying.value = true;
    try {
      if (!(await answerWithoutOldest(turn))) problem.value = "Not even the last question fits, without what came before it. Make it shorter, or begin a new conversation.";
    } catch (error) {
      problem.value = (error as Error).message;
    }
    isTrying.value = false;
  };
  return (
    <div class="ended problem">
      <span>{problem.value || told(turn)}</span>
      {isLast && (
        <span class="row ways">
          {!problem.value && (
            <button type="button" disabled={condition.value !== "ready" || isTrying.value} onClick={() => void shorten()}>
              <Icon name="retry" /> {turn.text ? "Continue" : "Answer"} without the oldest turns
            </button>
          )}
          <button type="button" onClick={begin}><Icon name="plus" /> New conversation</button>
        </span>
      )}
    </div>
  );
}

/** Above an answer that was made of a part of the conversation. */
export function LeftOut({ count }: { count: number }) {
  return <p class="left-out">The oldest {count} messages are left out from here on: the model no longer sees them.</p>;
}

function told({ overflow, text }: Turn): string {
  if (!overflow) return "The context is full, and the answer ends here.";
  const [tokens, context] = [overflow.tokens, overflow.context].map((n) => n.toLocaleString("en"));
  return `The conversation no longer fits: it has ${tokens} tokens, and the context has room for ${context}.${text ? "" : " This question is not sent along with later ones."}`;
}

function begin(): void {
  startChat();
  focusMessage();
}
