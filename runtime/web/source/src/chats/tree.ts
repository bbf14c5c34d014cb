// The tree that the turns of a conversation are. Pure: knows nothing of where they are kept.

import type { Turn, Turns } from "./types";

/** From the first turn down to `leaf`. A parent that is missing, or comes twice, ends the way. */
export function pathTo(turns: Turns, leaf: string | null): Turn[] {
  const path: Turn[] = [];
  const seen = new Set<string>();
  for (let id = leaf; id !== null && !seen.has(id); ) {
    seen.add(id);
    const turn = turns.get(id);
    if (!turn) break;
    path.push(turn);
    id = turn.parent;
  }
  return path.reverse();
}

/** The turns that stand in the place of `turn`, itself among them, oldest first. */
export function siblings(turns: Turns, turn: Turn): Turn[] {
  return [...turns.values()].filter((one) => one.parent === turn.parent).sort(byAge);
}

/** The end of the branch that begins with `turn`, taking the newest turn wherever there are several. */
export function leafBelow(turns: Turns, turn: Turn): Turn {
  const seen = new Set<string>();
  for (let at = turn; ; ) {
    seen.add(at.id);
    const next = [...turns.values()].filter((one) => one.parent === at.id && !seen.has(one.id)).sort(byAge).at(-1);
    if (!next) return at;
    at = next;
  }
}

/** The order in which turns came. */
export function byAge(a: Turn, b: Turn): number {
  return a.created - b.created || (a.id < b.id ? -1 : 1);
}
