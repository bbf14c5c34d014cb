// Pictures as the server is sent them: as they are where that is little, else scaled down, upright and over white.
// Each is sent again with every question of its conversation, and no model looks at more than a few million pixels.

import { dataUrl } from "./dataUrl";

const MAX_SIDE = 2048;
const MAX_BYTES = 2_000_000;
const MAX_FILE_BYTES = 100_000_000;
const QUALITY = 0.9;
/** What the server decodes as it is; of other kinds the browser makes a JPEG, if it can. */
const SENT_AS_THEY_ARE = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"];

/** By what is in it, not by its name alone: what a phone or another page gives may have none. */
export async function isPicture(file: File): Promise<boolean> {
  if (file.type === "image/svg+xml") return false; // a text, and no server here draws
  return file.type.startsWith("image/") || (await kindOf(file)) !== "";
}

/** A `data:` URL. Raises an Error that says why there is none. */
export async function picture(file: File): Promise<string> {
  if (file.size > MAX_FILE_BYTES) throw new Error("it is larger than 100 MB");
  const kind = await kindOf(file);
  const drawn = await bitmap(file, kind);
  try {
    const isSmall = file.size <= MAX_BYTES && Math.max(drawn.width, drawn.height) <= MAX_SIDE;
    return await dataUrl(isSmall && SENT_AS_THEY_ARE.includes(kind) ? new Blob([file], { type: kind }) : await scaled(drawn));
  } finally {
    drawn.close();
  }
}

async function bitmap(file: File, kind: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(new Blob([file], { type: kind || file.type }));
  } catch {
    const heic = kind === "image/heic" ? ": it is HEIC, which few browsers can" : "";
    throw new Error(`this browser cannot read the picture${heic}. Send it as JPEG or PNG`);
  }
}

async function scaled(drawn: ImageBitmap): Promise<Blob> {
  const scale = Math.min(1, MAX_SIDE / Math.max(drawn.width, drawn.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(drawn.width * scale));
  canvas.height = Math.max(1, Math.round(drawn.height * scale));
  const pen = canvas.getContext("2d")!;
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(drawn, 0, 0, canvas.width, canvas.height);
  const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!made) throw new Error("this browser cannot make it smaller");
  return made;
}

/** The type that the first bytes of `file` speak of, or nothing. */
async function kindOf(file: File): Promise<string> {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("GIF8")) return "image/gif";
  if (head.startsWith("RIFF") && head.slice(8) === "WEBP") return "image/webp";
  if (head.startsWith("BM") && head.charCodeAt(6) + head.charCodeAt(7) === 0) return "image/bmp";
  if (head.startsWith("II*\0") || head.startsWith("MM\0*")) return "image/tiff";
  if (head.slice(4, 8) !== "ftyp") return "";
  const brand = head.slice(8);
  if (brand.startsWith("avi")) return "image/avif"; // avif, avis
  return /^(he|mif1|msf1)/.test(brand) ? "image/heic" : "";
}
