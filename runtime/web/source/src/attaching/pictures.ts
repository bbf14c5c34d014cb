// Pictures, taken where the model sees them.

import type { Attachment } from "../chats/types";

const MAX_BYTES = 20_000_000;

export async function picture(file: File, seesImages: boolean): Promise<Attachment> {
  if (!seesImages) throw new Error("this model does not see pictures");
  if (file.size > MAX_BYTES) throw new Error("it is larger than 20 MB");
  const data = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(new Error("it cannot be read"));
    reader.readAsDataURL(file);
  });
  return { kind: "image", name: file.name, data };
}
