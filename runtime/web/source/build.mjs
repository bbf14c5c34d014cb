// Builds the page into the folder that is named: index.html, which can be painted by itself; assets/ under names that change
// with their content; and of the packages that are in them licenses.txt and packages.json.
//
// Knows esbuild. Refuses to know who serves the files and how they are compressed (bundler/freeze/page.py).

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { prerendered } from "./prerender.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = process.argv[2] ?? join(here, "dist");

const common = {
  absWorkingDir: here,
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  preserveSymlinks: true,
  logLevel: "warning",
};

const result = await build({
  ...common,
  entryPoints: { app: "src/main.tsx", first: "src/first.ts" },
  external: ["./assets/app.js"],
  outdir: join(target, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  minify: true,
  legalComments: "none", // the bundle has every package's licence as a file
  metafile: true,
});

const made = Object.keys(result.metafile.outputs).map((path) => basename(path));
const named = (name, ending) => made.find((file) => file.startsWith(`${name}-`) && file.endsWith(ending));

// What the program imports at once is asked for before it, not after it has come.
const program = named("app", ".js");
const app = Object.entries(result.metafile.outputs).find(([path]) => basename(path) === program)[1];
const imports = app.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path));

// What the first paint needs is in the page itself, so that it waits for nothing else.
const [style, script, drawn] = await Promise.all([
  moved(named("app", ".css")),
  moved(named("first", ".js")),
  prerendered(common, target),
]);
const parts = {
  "<!-- first -->": `<script>${script.replace("./assets/app.js", `./assets/${program}`)}</script>`,
  "<!-- style -->": `<style>${style}</style>`,
  "<!-- preloads -->": imports.map((name) => `<link rel="modulepreload" href="assets/${name}">`).join("\n"),
  "<!-- app -->": drawn,
};
const source = await readFile(join(here, "index.html"), "utf8");
const html = Object.entries(parts).reduce((text, [place, part]) => text.replace(place, () => part), source);
await mkdir(target, { recursive: true });
await writeFile(join(target, "index.html"), html);

const names = Object.keys(result.metafile.inputs).map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
const packages = await Promise.all([...new Set(names.filter(Boolean))].sort().map(packageOf));
const line = "=".repeat(100);
const licenses = packages.map(({ name, version, text }) => `${line}\n${name} ${version}\n${line}\n${text}`);
await writeFile(join(target, "licenses.txt"), licenses.join("\n"));
const brief = packages.map(({ name, version, license }) => ({ name, version, license }));
await writeFile(join(target, "packages.json"), JSON.stringify(brief, null, 1));

/** The text of an asset, which is one no longer. */
async function moved(name) {
  const path = join(target, "assets", name);
  const text = await readFile(path, "utf8");
  await rm(path);
  return text.trim();
}

async function packageOf(name) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file ? await readFile(join(folder, file), "utf8") : `${license}\n`;
  return { name, version, license, text };
}
