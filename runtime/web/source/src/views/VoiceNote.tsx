// The button that records a voice note, and ends it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { record, type Recording } from "../attaching/recording";
import { Icon } from "../parts/Icon";

export function VoiceNote({ onFile, onProblem }: { onFile: (file: File) => void; onProblem: (problem: string) => void }) {
  const recording = useRef<Recording | null>(null);
  /** Seconds that it has been going on for, null: nothing is recorded. */
  const seconds = useSignal<number | null>(null);

  useEffect(() => {
    if (seconds.value === null) return;
    const timer = setTimeout(() => (seconds.value! += 1), 1000);
    return () => clearTimeout(timer);
  }, [seconds.value]);
  // Who goes elsewhere meanwhile does not want to be heard any longer.
  useEffect(() => () => void recording.current?.end(), []);

  const toggle = async (): Promise<void> => {
    const going = recording.current;
    recording.current = null;
    if (going) {
      seconds.value = null;
      onFile(await going.end());
      return;
    }
    try {
      recording.current = await record();
      seconds.value = 0;
    } catch (error) {
      onProblem((error as Error).message);
    }
  };

  const isGoing = seconds.value !== null;
  const label = isGoing ? "End the voice note" : "Record a voice note";
  return (
    <>
      <button type="button" class={`quiet icon${isGoing ? " recording" : ""}`} title={label} aria-label={label} onClick={() => void toggle()}>
        <Icon name={isGoing ? "stop" : "microphone"} />
      </button>
      {isGoing && <span class="hint" role="timer">{clock(seconds.value!)}</span>}
    </>
  );
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
