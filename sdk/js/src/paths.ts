/**
 * Names and paths as parts of a URL. `fetch` resolves the parts "." and ".." before it sends (URL
 * Standard, 4.4), percent-encoded ones too, so that such a name would lead to another address: of
 * another session, or of a session itself.
 */
import { InvalidRequest } from "./errors.js";

/** A name as one part. @throws InvalidRequest where it is none */
export function namePart(name: string): string {
  if (["", ".", ".."].includes(name)) throw new InvalidRequest(400, `'${name}' is not a name`, undefined);
  return encodeURIComponent(name);
}

/** A path as parts, without those that are ".". @throws InvalidRequest where one is ".." */
export function pathParts(path: string): string {
  const names = path.split("/").filter((name) => name !== ".");
  if (names.includes("..")) throw new InvalidRequest(400, "path must not contain '..'", undefined);
  return names.map(encodeURIComponent).join("/");
}
