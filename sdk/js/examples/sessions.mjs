// A sandbox that stays: commands, code and files in one workspace.
import { Client } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
const session = await client.createSession({ size: "50M", labels: { example: "sessions" } });
try {
  await session.write("data/words.txt", "one\ntwo\nthree\n");
  console.log("lines:", (await session.exec("wc -l < data/words.txt")).stdout.trim());
  await session.run("open('made.txt', 'w').write('by Python')");
  console.log("text:", await session.readText("made.txt"));
  const files = await session.list("", true);
  console.log("files:", files.filter((f) => f.type === "file").map((f) => f.path).sort().join(" "));
  const snapshot = await session.snapshot("before");
  await session.remove("made.txt");
  await session.restore(snapshot);
  console.log("restored:", await session.exists("made.txt"));
  await client.deleteSnapshot(snapshot.id);
} finally {
  await session.delete();
}
