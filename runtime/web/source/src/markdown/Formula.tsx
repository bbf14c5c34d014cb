// TeX as MathML, which browsers draw themselves. Temml builds it of elements, and is loaded with the first formula.

import { useLayoutEffect, useRef } from "preact/hooks";

type Temml = (typeof import("temml"))["default"];

let loading: Promise<Temml> | undefined;
let loaded: Temml | undefined;

export function Formula({ tex, display }: { tex: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (loaded) return draw(loaded, tex, place.current!, display);
    place.current!.textContent = tex;
    loading ??= import("temml").then((module) => (loaded = module.default));
    let isThere = true;
    void loading.then((temml) => isThere && draw(temml, tex, place.current!, display));
    return () => {
      isThere = false;
    };
  }, [tex, display]);
  return <span class={display ? "math display" : "math"} ref={place} />;
}

/** Commands that could name addresses, classes or styles are not trusted; sizes and expansions are bounded. */
function draw(temml: Temml, tex: string, place: HTMLElement, display: boolean): void {
  try {
    temml.render(tex, place, { displayMode: display, trust: false, throwOnError: true, maxSize: [25, 500], maxExpand: 500 });
  } catch {
    place.textContent = tex;
  }
}
