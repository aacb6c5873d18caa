// Run code once, in a sandbox of its own.
import { Client } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
console.log((await client.execute("print(2 ** 64)")).stdout.trim());
console.log("exit code", (await client.execute("import sys; sys.exit(3)")).exit_code);
