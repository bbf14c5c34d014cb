/** What is in `blob` as a `data:` URL. */
export async function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(new Error("it cannot be read"));
    reader.readAsDataURL(blob);
  });
}
