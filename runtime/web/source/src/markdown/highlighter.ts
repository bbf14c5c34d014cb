// Colours for code. Loaded when the first block of code is shown; knows which languages there are.

import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const known = createLowlight({
  bash, c, cpp, csharp, css, diff, go, ini, java, javascript, json, php, python, ruby, rust, sql, typescript, xml, yaml,
});

/** A stretch of code under one colour. */
export type Piece = string | { classes: string; children: Piece[] };
export type Highlighter = (text: string, language: string) => Piece[] | null;

/** Null where the language is not known. */
export const highlight: Highlighter = (text, language) => {
  const name = language.toLowerCase();
  return known.registered(name) ? known.highlight(name, text).children.map((node) => piece(node as Node)) : null;
};

type Node = { type: "text"; value: string } | { type: "element"; properties: { className?: string[] }; children: Node[] };

function piece(node: Node): Piece {
  if (node.type === "text") return node.value;
  return { classes: (node.properties.className ?? []).join(" "), children: node.children.map(piece) };
}
