// Output as it comes.
import { Client } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
for await (const event of client.stream("for i in range(3): print('step', i)")) {
  if (event.name === "stdout") process.stdout.write(event.text);
}
const session = await client.createSession({ ephemeral: true });
for await (const event of session.stream("for i in 1 2 3; do echo line $i; done")) {
  if (event.name === "stdout") process.stdout.write(event.text);
  if (event.name === "result") console.log("exit code", event.data.exit_code);
}
await session.delete();
