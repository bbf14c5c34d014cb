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

/** The turns by what they hang on: those that stand in one place, oldest first. */
export function families(turns: Turns): ReadonlyMap<string | null, readonly Turn[]> {
  const all = new Map<string | null, Turn[]>();
  for (const turn of [...turns.values()].sort(byAge)) {
    const beside = all.get(turn.parent);
    if (beside) beside.push(turn);
    else all.set(turn.parent, [turn]);
  }
  return all;
}

/** The end of the branch that begins with `turn`, taking the newest turn wherever there are several. */
export function leafBelow(turns: Turns, turn: Turn): Turn {
  const below = families(turns);
  const seen = new Set<string>();
  for (let at = turn; ; ) {
    seen.add(at.id);
    const next = below.get(at.id)?.findLast((one) => !seen.has(one.id));
    if (!next) return at;
    at = next;
  }
}

/** The order in which turns came. */
export function byAge(a: Turn, b: Turn): number {
  return a.created - b.created || (a.id < b.id ? -1 : 1);
}
