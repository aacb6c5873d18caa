// What can go wrong, and how it is told.
import { Client, InvalidRequest, NotFound, Unreachable } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
const failed = await client.execute("1 / 0"); // code that fails is no error of the client
console.log("success:", failed.success, "|", failed.error.split("\n")[0]);
const late = await client.execute("while True: pass", { timeout: 1 });
console.log("timed out:", late.timed_out);
await client.session("no-such-session").catch((error) => {
  if (error instanceof NotFound) console.log("not found:", error.detail);
});
await client.createSession({ size: "a lot" }).catch((error) => {
  if (error instanceof InvalidRequest) console.log("invalid:", error.status);
});
await new Client("http://127.0.0.1:1", { retries: 0 }).health().catch((error) => {
  if (error instanceof Unreachable) console.log("unreachable");
});
