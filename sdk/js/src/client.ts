/** The client of one server. */
import { encodeFile } from "./base64.js";
import { Environment } from "./environment.js";
import { namePart } from "./paths.js";
import { Session, sessionPath } from "./session.js";
import { ClientOptions, Query, said, Transport } from "./transport.js";
import type { EnvironmentInfo, Run, SessionInfo, Snapshot, StreamEvent } from "./results.js";

export interface ExecuteOptions {
  /** "python" unless said */
  language?: string;
  /** seconds */
  timeout?: number;
  environment?: string;
  /** put into the working directory; strings as UTF-8 */
  files?: Record<string, string | Uint8Array>;
  args?: string[];
  env?: Record<string, string>;
  stdin?: string;
  limits?: {
    memory_mb?: number; cpu?: number; processes?: number; workspace_mb?: number; output_kb?: number;
  };
  files_mode?: "all" | "changed";
  fresh?: boolean;
  network?: "none" | "bridge";
}

export interface SessionOptions {
  /** unguessable unless said */
  id?: string;
  environment?: string;
  /** in memory */
  ephemeral?: boolean;
  /** "100M", or bytes */
  size?: string | number;
  /** seconds */
  idle_timeout?: number;
  idle_ttl?: number;
  ttl?: number;
  network?: "none" | "bridge";
  env?: Record<string, string>;
  labels?: Record<string, string>;
  limits?: { memory_mb?: number; cpu?: number; processes?: number };
  snapshot?: string;
}

export interface EnvironmentOptions {
  description?: string;
  base_image?: string;
  python_version?: string;
  warm?: string[];
  network?: "none" | "bridge";
  [more: string]: unknown;
}

function runBody(code: string, { files, ...options }: ExecuteOptions): object {
  const encoded = files && Object.fromEntries(
    Object.entries(files).map(([name, data]) => [name, encodeFile(data)]),
  );
  return said({ code, files: encoded, ...options });
}

/** A client of one Dunlin server. */
export class Client {
  readonly transport: Transport;

  /** @param baseUrl as "http://localhost:8000" */
  constructor(baseUrl = "http://localhost:8000", options: ClientOptions = {}) {
    this.transport = new Transport(baseUrl, options);
  }

  /** What GET /health says. @throws ApiError (503) when the server is not well. */
  health(): Promise<Record<string, unknown>> {
    return this.transport.json("GET", "/health");
  }

  /** What GET /version says. */
  version(): Promise<Record<string, unknown>> {
    return this.transport.json("GET", "/version");
  }

  /** Runs code once, in a sandbox of its own. Code that fails is no error: look at `success`. */
  execute(code: string, options: ExecuteOptions = {}): Promise<Run> {
    return this.transport.json("POST", "/execute", { json: runBody(code, options) });
  }

  /** The same, as it happens: "start", "stdout", "stderr", then "result". */
  stream(code: string, options: ExecuteOptions = {}): AsyncGenerator<StreamEvent> {
    return this.transport.events("POST", "/execute", { json: runBody(code, options) });
  }

  /** Every environment, in order of creation. */
  async environments(): Promise<EnvironmentInfo[]> {
    return (await this.transport.json<{ environments: EnvironmentInfo[] }>("GET", "/environments"))
      .environments;
  }

  /** The environment of this name, without asking whether there is one. */
  environment(name: string): Environment {
    return new Environment(this.transport, name);
  }

  /** Makes an environment and waits until its build has ended (wait: false: does not). */
  async createEnvironment(
    name: string, setupScript = "", options: EnvironmentOptions = {}, wait = true,
  ): Promise<Environment> {
    await this.transport.json("POST", "/environments", {
      json: { name, setup_script: setupScript, ...said(options) }, query: { wait },
    });
    return this.environment(name);
  }

  /** Makes a session. */
  async createSession(options: SessionOptions = {}): Promise<Session> {
    return new Session(this.transport, await this.transport.json<SessionInfo>("POST", "/v1/sessions", {
      json: said(options),
    }));
  }

  /** The session of this id. @throws NotFound */
  async session(id: string): Promise<Session> {
    return new Session(this.transport, await this.transport.json<SessionInfo>("GET", sessionPath(id)));
  }

  /** Yields each session, in order of creation. */
  async *sessions(
    filter: { labels?: Record<string, string>; state?: string; environment?: string } = {}, page = 200,
  ): AsyncGenerator<SessionInfo> {
    const query = new URLSearchParams({ limit: String(page) });
    for (const [name, value] of Object.entries(filter.labels ?? {})) query.append("label", `${name}=${value}`);
    if (filter.state !== undefined) query.set("state", filter.state);
    if (filter.environment !== undefined) query.set("environment", filter.environment);
    for (;;) {
      const answer: { sessions: SessionInfo[]; next: string | null } =
        await this.transport.json("GET", "/v1/sessions", { query: query as Query });
      for (const one of answer.sessions) yield one;
      if (!answer.next) return;
      query.set("after", answer.next);
    }
  }

  /** Every snapshot that this key may see. */
  async snapshots(): Promise<Snapshot[]> {
    return (await this.transport.json<{ snapshots: Snapshot[] }>("GET", "/v1/snapshots")).snapshots;
  }

  /** Removes a snapshot. @throws NotFound */
  async deleteSnapshot(id: string): Promise<void> {
    await this.transport.request("DELETE", `/v1/snapshots/${namePart(id)}`);
  }
}
