// A voice note: what the microphone hears until somebody ends it, as a file of whatever kind the browser writes.

export interface Recording {
  /** The microphone is let go of, and the file is there. */
  end(): Promise<File>;
}

/** Browsers give a microphone to pages of HTTPS and of this machine only. */
export function canRecord(): boolean {
  return Boolean(navigator.mediaDevices?.getUserMedia) && typeof MediaRecorder !== "undefined";
}

/** Raises an Error that says why there is none. */
export async function record(): Promise<Recording> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    const isDenied = (error as DOMException).name === "NotAllowedError";
    throw new Error(isDenied ? "the browser was not allowed the microphone" : "there is no microphone that can be used");
  }
  const recorder = new MediaRecorder(stream);
  const pieces: Blob[] = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.start();
  return {
    async end() {
      const ended = new Promise((resolve) => (recorder.onstop = resolve));
      recorder.stop();
      await ended;
      stream.getTracks().forEach((track) => track.stop());
      return new File(pieces, "Voice note", { type: recorder.mimeType });
    },
  };
}
