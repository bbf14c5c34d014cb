// What the reader has to know of the server's state.

import { path } from "../state/chats";
import { route } from "../state/route";
import { condition, isBase, model, models, progress, props, reason, writers } from "../state/server";
import { Name } from "../parts/Name";

export function Notices() {
  return <div class="notices" role="status">{notice()}</div>;
}

function notice() {
  switch (condition.value) {
    case "loading":
      return (
        <div class="notice">
          <strong>{reason.value.replace(/\.$/, "") || "The model is loading"} …</strong>
          <progress aria-label="Loading" value={progress.value} />
          <span>You can write your question already.</span>
        </div>
      );
    case "away":
      return (
        <div class="notice warning">
          <strong>The server does not answer.</strong>
          <span>It has been stopped, or is busy. Where it has been stopped, start {restart()} This page goes on when it is back.</span>
        </div>
      );
    case "failed":
      return (
        <div class="notice warning">
          <strong>The server cannot answer:</strong>
          <span>{reason}</span>
        </div>
      );
    case "ready":
      if (writers.value.length) return ofBase();
      if (!models.value.length) return null;
      return (
        <div class="notice warning">
          <strong>No model in this file writes text.</strong>
          <span>It makes vectors or scores: <a href="docs">how to ask for them</a>.</span>
        </div>
      );
    default:
      return null;
  }
}

/** In a conversation, which another model may have begun; elsewhere it is said in its place. */
function ofBase() {
  if (!isBase.value || !model.value || route.value.view !== "chat" || !path.value.length) return null;
  return (
    <div class="notice">
      <span>
        <strong><Name text={model.value.id} /></strong> is a base model: it goes on with text, and was not taught to answer.{" "}
        <a href="#completion">Completion</a> suits it.
      </span>
    </div>
  );
}

/** What is to be started, so that it is found where this page came from. */
function restart() {
  const file = props.value?.loaf.file;
  if (!file) return <>it again, as it was started before.</>;
  const port = location.port && location.port !== "8080" ? `--port ${location.port}` : "";
  return <>the file again, in its folder and with the flags that it had before: <code>{shellPath(file)} <span class="flag">--server</span>{port && <> <span class="flag">{port}</span></>}</code>.</>;
}

/** The file `name` of the folder that one is in, as a shell reads it. */
function shellPath(name: string): string {
  return /^[\w.,+=@%-]+$/.test(name) ? `./${name}` : `'./${name.replaceAll("'", "'\\''")}'`;
}
