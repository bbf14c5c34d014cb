// Which addresses of a model's text may be followed.

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address as the browser reads it, or null: a scheme that could run something, or no whole address at all. */
export function safeLink(href: string): string | null {
  try {
    const url = new URL(href);
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
