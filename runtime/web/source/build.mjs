// Builds the page into the folder that is named: index.html, assets/ under names that change with their content; and of
// the packages that are in them licenses.txt and packages.json.
//
// Knows esbuild. Refuses to know who serves the files and how they are compressed (bundler/freeze/page.py).

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = process.argv[2] ?? join(here, "dist");

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts" },
  outdir: join(target, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none", // the bundle has every package's licence as a file
  preserveSymlinks: true,
  metafile: true,
  logLevel: "warning",
});

const made = Object.keys(result.metafile.outputs).map((path) => basename(path));
const named = (name, ending) => made.find((file) => file.startsWith(`${name}-`) && file.endsWith(ending));

// What the first file imports at once is asked for with it, not after it has come.
const app = Object.entries(result.metafile.outputs).find(([path]) => basename(path) === named("app", ".js"))[1];
const imports = app.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path));
const preloads = imports.map((name) => `<link rel="modulepreload" href="assets/${name}">\n`).join("");

const html = (await readFile(join(here, "index.html"), "utf8"))
  .replaceAll(/assets\/(\w+)\.(js|css)/g, (_, name, ending) => `assets/${named(name, `.${ending}`)}`)
  .replace("</head>", `${preloads}</head>`);
await mkdir(target, { recursive: true });
await writeFile(join(target, "index.html"), html);

const names = Object.keys(result.metafile.inputs).map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
const packages = await Promise.all([...new Set(names.filter(Boolean))].sort().map(packageOf));
const line = "=".repeat(100);
const licenses = packages.map(({ name, version, text }) => `${line}\n${name} ${version}\n${line}\n${text}`);
await writeFile(join(target, "licenses.txt"), licenses.join("\n"));
const brief = packages.map(({ name, version, license }) => ({ name, version, license }));
await writeFile(join(target, "packages.json"), JSON.stringify(brief, null, 1));

async function packageOf(name) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file ? await readFile(join(folder, file), "utf8") : `${license}\n`;
  return { name, version, license, text };
}
