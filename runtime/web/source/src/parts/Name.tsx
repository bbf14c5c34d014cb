// A model's name, which may go on below itself behind its signs and nowhere else.

import type { ComponentChildren } from "preact";

export function Name({ text }: { text: string }) {
  return <>{text.split(/(?<=[-./:])/).flatMap((part, i): ComponentChildren[] => (i ? [<wbr key={i} />, part] : [part]))}</>;
}
