// Text files: UTF-8, and nothing that looks like text by chance.

export function plainText(bytes: ArrayBuffer): string {
  if (!bytes.byteLength) throw new Error("it is empty");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) throw new Error();
    return text;
  } catch {
    throw new Error("it is not a text file");
  }
}
