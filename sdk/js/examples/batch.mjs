// Many runs side by side.
import { Client } from "dunlin";

const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
const runs = await Promise.all([...Array(8).keys()].map((n) => client.execute(`print(${n} ** 2)`)));
console.log(runs.map((run) => run.stdout.trim()).join(" "));
