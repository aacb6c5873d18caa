// Files into a run and out of it.
import { Client, decodeFile } from "dunlin";

const code = `
numbers = [int(line) for line in open("numbers.txt")]
open("sum.txt", "w").write(str(sum(numbers)))
`;
const client = new Client(process.env.DUNLIN_URL ?? "http://localhost:8000");
const run = await client.execute(code, { files: { "numbers.txt": "1\n2\n3\n" } });
console.log("sum:", new TextDecoder().decode(decodeFile(run.files["sum.txt"])));
