/** Client of Dunlin, a server that runs untrusted code in sandboxes. */
export { decodeFile, encodeFile } from "./base64.js";
export { Client } from "./client.js";
export type { EnvironmentOptions, ExecuteOptions, SessionOptions } from "./client.js";
export { Environment } from "./environment.js";
export {
  ApiError, Conflict, DunlinError, InvalidRequest, NotFound, Overloaded, SandboxError, StorageFull,
  TooLarge, Unauthorized, Unreachable,
} from "./errors.js";
export { rank, SandboxClient, SharedEnvSandbox, SimplePySandboxClient } from "./predecessors.js";
export type { SharedEnvOptions } from "./predecessors.js";
export * from "./results.js";
export { Session } from "./session.js";
export type { CodeOptions, CommandOptions } from "./session.js";
export { Terminal } from "./terminal.js";
export type { TerminalOptions } from "./terminal.js";
export type { ClientOptions } from "./transport.js";
