/** Base64 of bytes, in browsers and Node alike. */

const step = 0x8000; // bytes at once: arguments of one call are limited

/** The base64 text of bytes, or of text as UTF-8. */
export function encodeFile(data: string | Uint8Array): string {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  let text = "";
  for (let at = 0; at < bytes.length; at += step) {
    text += String.fromCharCode(...bytes.subarray(at, at + step));
  }
  return btoa(text);
}

/** The bytes of base64 text, as in Run.files. */
export function decodeFile(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
