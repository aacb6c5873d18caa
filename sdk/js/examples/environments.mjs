// Make an environment, run in it, remove it.
import { Client } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
const environment = await client.createEnvironment("sdk-example-js", "echo from the setup > /greeting");
try {
  console.log("status:", (await environment.info()).status);
  const run = await client.execute("print(open('/greeting').read(), end='')", {
    environment: environment.name,
  });
  console.log(run.stdout.trim());
} finally {
  await environment.delete();
}
