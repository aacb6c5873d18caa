// The package against a real server (DUNLIN_URL).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Client, Conflict, InvalidRequest, NotFound, SandboxClient, SandboxError, SharedEnvSandbox,
  SimplePySandboxClient, Unreachable,
} from "dunlin";

const url = process.env.DUNLIN_URL;
const client = new Client(url);
const unique = () => "js" + Math.random().toString(36).slice(2);

async function withSession(options, work) {
  const session = await client.createSession(options);
  try {
    await work(session);
  } finally {
    await session.delete();
  }
}

test("files of a session", () => withSession({ ephemeral: true }, async (session) => {
  const odd = "ä dir/b #?%&+'\".bin";
  const bytes = Uint8Array.from({ length: 256_000 }, (_, i) => i & 255);
  const made = await session.write(odd, bytes, { mode: 0o600 });
  assert.deepEqual([made.type, made.size, made.mode], ["file", 256_000, "0600"]);
  assert.deepEqual(await session.read(odd, 10, 5), bytes.slice(10, 15));
  assert.equal((await session.read(odd)).length, 256_000);
  await assert.rejects(session.write(odd, "x", { exclusive: true }), Conflict);
  await session.write("a/b", "text");
  await session.copy("a/b", "a/c");
  await session.move("a/c", "d");
  assert.equal(await session.readText("d"), "text");
  assert.deepEqual((await session.search({ text: "tex" })).map((m) => m.path).sort(), ["a/b", "d"]);
  await session.remove("a", true);
  assert.equal(await session.exists("a"), false);
  await assert.rejects(session.read("nothing"), NotFound);
}));

test("a path never leads to another address", () => withSession({ ephemeral: true }, async (session) => {
  for (const path of ["..", "../exec", "a/../../x"]) {
    await assert.rejects(async () => session.read(path), InvalidRequest);
    await assert.rejects(async () => session.remove(path), InvalidRequest);
  }
  await session.write("./a/./b", "kept");
  assert.equal(await session.readText("a/b"), "kept");
}));

test("processes of a session", () => withSession({ ephemeral: true }, async (session) => {
  const { process } = await session.start("cat; exit 4", { stdin_open: true });
  await session.writeStdin(process, "typed\n", true);
  let text = "", last;
  for await (const event of session.follow(process)) {
    if (event.name === "stdout") text += event.text;
    last = event;
  }
  assert.equal(text, "typed\n");
  assert.equal(last.data.exit_code, 4);
  assert.equal((await session.exec(["printf", "%s|", "a b"])).stdout, "a b|");
  assert.equal((await session.run("print(6 * 7)")).stdout, "42\n");
}));

test("a stream can be left, and a call given up", () => withSession({ ephemeral: true }, async (session) => {
  for await (const event of session.stream("echo begun; sleep 30")) {
    if (event.name === "stdout") break;
  }
  const given = new AbortController();
  setTimeout(() => given.abort(), 100);
  await assert.rejects(session.exec("sleep 30", { signal: given.signal }), Unreachable);
}));

test("life of sessions", () => withSession({ labels: { mark: unique() }, size: "20M" }, async (session) => {
  await session.write("kept", "1");
  await session.sleep();
  assert.equal((await session.info()).state, "asleep");
  assert.equal(await session.readText("kept"), "1");
  const found = [];
  for await (const one of client.sessions({ labels: session.created.labels }, 1)) found.push(one.id);
  assert.deepEqual(found, [session.id]);
  await assert.rejects(client.createSession({ size: "a lot" }), InvalidRequest);
}));

test("the predecessors' classes", async () => {
  const simple = new SimplePySandboxClient(url);
  assert.equal((await simple.executeCode("print(1)", { timeout: 10, files: null })).stdout, "1\n");
  const named = new SandboxClient(url);
  assert.equal((await named.executeCode("print(open('t').read())", { files: { t: "text" } })).stdout, "text\n");
  const shared = new SharedEnvSandbox(unique(), { servers: [url] });
  await shared.createSession();
  await shared.createFile("text", "d/a.txt");
  await shared.uploadFile(new Blob([new Uint8Array([0, 255])]), "up.bin");
  assert.deepEqual(await shared.downloadFile("up.bin"), new Uint8Array([0, 255]));
  assert.equal((await shared.execute("echo", "a b", "$HOME")).stdout, "a b $HOME\n");
  assert.deepEqual((await shared.executeCode("x = {'k': 1}", null, [], "python", ["x"])).output_variables,
    { x: { k: 1 } });
  await assert.rejects(shared.readFile("nothing"), SandboxError);
  await shared.close();
  await assert.rejects(new SharedEnvSandbox("x", { servers: ["http://127.0.0.1:1"] }).getStatus(),
    /No available server found/);
});
