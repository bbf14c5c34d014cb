import { useEffect, useState } from "preact/hooks";
import { copy } from "./copy";
import { Icon } from "./Icon";

const SHOWN_MS = 1500;

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <button type="button" class="quiet icon" title={label} aria-label={isCopied ? "Copied" : label} onClick={() => void copy(text).then(() => setCopied(true))}>
      <Icon name={isCopied ? "check" : "copy"} />
    </button>
  );
}
