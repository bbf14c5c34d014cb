// Sounds as the server is sent them: as they are where it decodes them, else as what the browser hears in them, in WAV.

import { dataUrl } from "./dataUrl";

/** What models listen to: more samples a second are sent for nothing. */
const RATE = 16_000;
const MAX_SECONDS = 30 * 60;
const MAX_BYTES = 10_000_000;
const MAX_FILE_BYTES = 100_000_000;

/** By the name or type that it comes with; what is in it decides how it is sent. */
export function isSound(file: File): boolean {
  return file.type.startsWith("audio/") || /\.(wav|mp3|flac|og[ga]|opus|m4a|aac|weba)$/i.test(file.name);
}

/** A `data:` URL. Raises an Error that says why there is none. */
export async function sound(file: File): Promise<string> {
  if (file.size > MAX_FILE_BYTES) throw new Error("it is larger than 100 MB");
  const kind = await kindOf(file);
  return dataUrl(kind && file.size <= MAX_BYTES ? new Blob([file], { type: kind }) : await heard(file));
}

/** What the browser hears in `blob`: WAV of one channel. Raises an Error that says why it hears nothing. */
async function heard(blob: Blob): Promise<Blob> {
  let buffer: AudioBuffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  } catch {
    throw new Error("this browser cannot read the sound. Send it as WAV, MP3, FLAC or Ogg");
  }
  if (buffer.duration > MAX_SECONDS) throw new Error("it is longer than half an hour");
  return wav(Array.from({ length: buffer.numberOfChannels }, (_one, i) => buffer.getChannelData(i)));
}

/** The mean of `channels`, with 16 bits a sample. */
function wav(channels: Float32Array[]): Blob {
  const n = channels[0]!.length;
  const bytes = new DataView(new ArrayBuffer(44 + 2 * n));
  const word = (at: number, text: string): void => [...text].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * n, true);
  word(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); // PCM
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, 2 * RATE, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  word(36, "data");
  bytes.setUint32(40, 2 * n, true);
  for (let i = 0; i < n; i++) {
    const mean = channels.reduce((sum, one) => sum + one[i]!, 0) / channels.length;
    bytes.setInt16(44 + 2 * i, Math.round(Math.max(-1, Math.min(1, mean)) * 32767), true);
  }
  return new Blob([bytes.buffer as ArrayBuffer], { type: "audio/wav" });
}

/** The type that the first bytes of `file` speak of, of those that the server decodes, or nothing. */
async function kindOf(file: File): Promise<string> {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  if (head.startsWith("RIFF") && head.slice(8) === "WAVE") return "audio/wav";
  if (head.startsWith("fLaC")) return "audio/flac";
  if (head.startsWith("OggS")) return "audio/ogg";
  const [first, second] = [head.charCodeAt(0), head.charCodeAt(1)];
  const isFrame = first === 0xff && (second & 0xe0) === 0xe0 && (second & 0x06) !== 0; // no AAC, which begins alike
  return head.startsWith("ID3") || isFrame ? "audio/mpeg" : "";
}
