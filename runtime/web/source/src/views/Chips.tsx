// Attached files, before they are sent and after.

import type { Attachment } from "../chats/types";
import { Icon } from "../parts/Icon";

export function Chips({ attachments, onRemove }: { attachments: readonly Attachment[]; onRemove?: (one: Attachment) => void }) {
  if (!attachments.length) return null;
  return (
    <ul class="chips" aria-label="Attached files">
      {attachments.map((one, i) => (
        <li key={i}>
          {one.kind === "text" ? <TextFile file={one} /> : <Shown file={one} />}
          {onRemove && (
            <button type="button" class="quiet icon" aria-label={`Remove ${one.name}`} onClick={() => onRemove(one)}><Icon name="close" /></button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Shown({ file: { kind, name, data } }: { file: Attachment }) {
  return kind === "image" ? <img src={data} alt={name} /> : <audio controls src={data} title={name} aria-label={name} />;
}

function TextFile({ file }: { file: Attachment }) {
  return (
    <details>
      <summary>{file.name} <small>{file.data.length.toLocaleString("en")} characters</small></summary>
      <pre tabIndex={0}>{file.data}</pre>
    </details>
  );
}
