// A model's text as elements. Nothing of it becomes markup through a parser: each token becomes an element that is
// named here, and what the text says in HTML is shown as it was written, but for a few tags without attributes.

import { Component, type ComponentChildren, h } from "preact";
import type { Token, Tokens } from "marked";
import { Code } from "./Code";
import { decoded } from "./entities";
import { Formula } from "./Formula";
import { blocks, type MathToken, NOTHING, readOn } from "./lexer";
import { safeLink } from "./links";

/** Drawn again only when its text has changed, of which only the end is read again. */
export class Markdown extends Component<{ text: string }> {
  private read = NOTHING;

  override shouldComponentUpdate(next: { text: string }): boolean {
    return next.text !== this.props.text;
  }

  override render({ text }: { text: string }): ComponentChildren {
    this.read = readOn(this.read, text);
    return (
      <div class="markdown">
        {blocks(this.read).map((token, i) => (
          <Block key={i} token={token} />
        ))}
      </div>
    );
  }
}

/** A block that is drawn again only when its text has changed: an answer grows at its end. */
class Block extends Component<{ token: Token }> {
  override shouldComponentUpdate(next: { token: Token }): boolean {
    return next.token.raw !== this.props.token.raw || next.token.type !== this.props.token.type;
  }

  override render(): ComponentChildren {
    return drawn(this.props.token);
  }
}

function all(tokens: Token[] | undefined): ComponentChildren {
  const shown: ComponentChildren[] = [];
  for (let i = 0; tokens && i < tokens.length; i += 1) {
    const token = tokens[i]!;
    const tag = token.type === "html" ? INLINE_TAG.exec(token.raw) : null;
    if (!tag) {
      shown.push(drawn(token));
      continue;
    }
    const name = tag[1]!.toLowerCase();
    const end = tokens.findIndex((one, at) => at > i && one.type === "html" && one.raw.toLowerCase() === `</${name}>`);
    if (name === "br") shown.push(<br />);
    else if (end < 0) shown.push(token.raw);
    else {
      shown.push(h(name, null, all(tokens.slice(i + 1, end))));
      i = end;
    }
  }
  return shown;
}

const INLINE_TAG = /^<(br|sub|sup|kbd|mark|u|b|i|s|em|strong|small)\s*\/?>$/i;

function drawn(token: Token): ComponentChildren {
  switch (token.type) {
    case "heading":
      return <Heading level={token["depth"]}>{all(token.tokens)}</Heading>;
    case "paragraph":
      return <p>{all(token.tokens)}</p>;
    case "blockquote":
      return <blockquote>{all(token.tokens)}</blockquote>;
    case "code":
      return <Code text={token["text"]} language={(token["lang"] ?? "").split(/\s/, 1)[0]} />;
    case "list":
      return <List list={token as Tokens.List} />;
    case "table":
      return <Table table={token as Tokens.Table} />;
    case "hr":
      return <hr />;
    case "strong":
      return <strong>{all(token.tokens)}</strong>;
    case "em":
      return <em>{all(token.tokens)}</em>;
    case "del":
      return <del>{all(token.tokens)}</del>;
    case "codespan":
      return <code>{decoded(token["text"])}</code>;
    case "br":
      return <br />;
    case "link":
      return <Link link={token as Tokens.Link} />;
    case "image":
      return <Picture image={token as Tokens.Image} />;
    case "checkbox":
      return <input type="checkbox" checked={token["checked"]} disabled aria-label={token["checked"] ? "done" : "to do"} />;
    case "math":
      return <Formula tex={(token as MathToken).tex} display={(token as MathToken).display} />;
    case "text":
      return token.tokens ? all(token.tokens) : decoded(token["text"]);
    case "escape":
      return decoded(token["text"]);
    case "space":
      return null;
    default: // HTML, above all
      return token.raw;
  }
}

/** The page has a heading of its own: the highest one of a text is the second. */
function Heading({ level, children }: { level: number; children: ComponentChildren }) {
  const Tag = `h${Math.min(level + 1, 6)}` as "h2";
  return <Tag class={`level-${level}`}>{children}</Tag>;
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, i) => (
    <li key={i} class={item.task ? "task" : undefined}>
      {all(item.tokens)}
    </li>
  ));
  if (!list.ordered) return <ul>{items}</ul>;
  const start = Number(list.start) || 1;
  const digits = String(start + items.length - 1).length;
  return <ol start={start} style={digits > 2 ? { paddingLeft: `${digits * 0.65 + 0.7}em` } : undefined}>{items}</ol>;
}

function Table({ table }: { table: Tokens.Table }) {
  return (
    <div class="table" role="region" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>{table.header.map((cell, i) => <th key={i} scope="col" class={classOf(cell)}>{all(cell.tokens)}</th>)}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, i) => (
            <tr key={i}>{row.map((cell, j) => <td key={j} class={classOf(cell)}>{all(cell.tokens)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** As many characters, in several words, are prose: it has room for more than a word a line. */
const PROSE_LENGTH = 24;

function classOf({ align, text }: Tokens.TableCell): string | undefined {
  const isProse = text.length > PROSE_LENGTH && /\s/.test(text.trim());
  return [align && `align-${align}`, isProse && "prose"].filter(Boolean).join(" ") || undefined;
}

function Link({ link }: { link: Tokens.Link }) {
  const href = safeLink(link.href);
  if (href === null) return <span>{all(link.tokens)}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" title={link.title ?? undefined}>
      {all(link.tokens)}
    </a>
  );
}

/** A picture of a model's text would be fetched from elsewhere, which tells of this conversation: it stays a link. */
function Picture({ image }: { image: Tokens.Image }) {
  const href = safeLink(image.href);
  const text = image.text || "picture";
  return href === null ? <span>{text}</span> : <a href={href} target="_blank" rel="noopener noreferrer">{text}</a>;
}
