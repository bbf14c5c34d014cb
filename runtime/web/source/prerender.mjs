// The page as App draws it before anything is known of the server, the reader and their conversations: HTML, which can be
// painted while the program is still on its way.
//
// Knows which of a browser's things the modules touch as they are loaded. Refuses to know what the page is written to.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

/** A browser in which nothing was ever kept. */
const BROWSER = {
  localStorage: storage(),
  sessionStorage: storage(),
  location: { hash: "", hostname: "localhost", host: "localhost" },
  document: { documentElement: { dataset: {} }, addEventListener() {} },
  addEventListener() {},
  BroadcastChannel: class {},
  crypto: { getRandomValues: (bytes) => bytes },
};

/** `options` as for esbuild's build(), without what is built; `folder` is for what is needed meanwhile. */
export async function prerendered(options, folder) {
  const outfile = join(folder, "prerender.mjs");
  await build({ ...options, entryPoints: ["src/prerender.tsx"], outfile, bundle: true, format: "esm" });
  for (const [name, value] of Object.entries(BROWSER)) Object.defineProperty(globalThis, name, { value, configurable: true });
  const { html } = await import(pathToFileURL(outfile));
  await rm(outfile);
  return html;
}

function storage() {
  return { getItem: () => null, setItem() {}, removeItem() {} };
}
