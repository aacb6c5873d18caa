/** The client classes of the predecessors, with their names. */
import { decodeFile, encodeFile } from "./base64.js";
import { SandboxError } from "./errors.js";
import { namePart, pathParts } from "./paths.js";
import { sha256 } from "./sha256.js";
import { ClientOptions, Transport } from "./transport.js";

/** The servers, the one that should have this session first: as the Python package chooses. */
export function rank(sessionId: string, servers: string[]): string[] {
  return servers.map((server) => ({ server, digest: sha256(`${server}\0${sessionId}`) }))
    .sort((a, b) => (a.digest < b.digest ? 1 : -1)).map((one) => one.server);
}

/** Client of /execute and /environments of SimplePySandbox; answers are the server's JSON. */
export class SimplePySandboxClient {
  protected readonly transport: Transport;

  constructor(readonly baseUrl = "http://localhost:8000", options: ClientOptions = {}) {
    this.transport = new Transport(baseUrl, options);
  }

  healthCheck(): Promise<Record<string, unknown>> {
    return this.transport.json("GET", "/health");
  }

  /** Runs Python code; options (timeout, environment, files as base64) are put into the body. */
  executeCode(code: string, options: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.transport.json("POST", "/execute", { json: { code, ...options } });
  }

  listEnvironments(): Promise<Record<string, unknown>> {
    return this.transport.json("GET", "/environments");
  }

  createEnvironment(
    name: string, setupScript: string, options: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> {
    return this.transport.json("POST", "/environments", {
      json: { name, setup_script: setupScript, ...options },
    });
  }

  getEnvironment(name: string): Promise<Record<string, unknown>> {
    return this.transport.json("GET", `/environments/${namePart(name)}`);
  }

  deleteEnvironment(name: string): Promise<Record<string, unknown>> {
    return this.transport.json("DELETE", `/environments/${namePart(name)}`);
  }

  decodeFile(content: string): Uint8Array {
    return decodeFile(content);
  }
}

/** The same with files given as text or bytes. */
export class SandboxClient extends SimplePySandboxClient {
  executeCode(
    code: string, options: { files?: Record<string, string | Uint8Array>; [more: string]: unknown } = {},
  ): Promise<Record<string, unknown>> {
    const files = options.files && Object.fromEntries(
      Object.entries(options.files).map(([name, data]) => [name, encodeFile(data)]));
    return super.executeCode(code, { ...options, ...(files && { files }) });
  }
}

export interface SharedEnvOptions {
  /** base URLs */
  servers: string[];
  apiKey?: string;
  fetch?: typeof fetch;
}

const healthyFor = 60_000; // ms that a server's health is believed

/** The client of sandbox_runtime: a session on one of several servers. Throws SandboxError. */
export class SharedEnvSandbox {
  private readonly health = new Map<string, { good: boolean; until: number }>();
  private readonly fetch: typeof fetch;

  constructor(readonly sessionId: string, private readonly options: SharedEnvOptions) {
    if (!sessionId) throw new Error("session_id is required");
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  createSession(size = "50M"): Promise<unknown> {
    return this.call("POST", "/session/{id}", JSON.stringify({ size }));
  }

  async deleteSession(): Promise<boolean> {
    await this.call("DELETE", "/session/{id}");
    return true;
  }

  getStatus(): Promise<unknown> {
    return this.call("GET", "/status/{id}");
  }

  uploadFile(data: Blob, filename: string): Promise<unknown> {
    const form = new FormData();
    form.append("file", data, filename);
    return this.call("POST", `/upload/{id}?filename=${encodeURIComponent(filename)}`, form);
  }

  async downloadFile(filename: string): Promise<Uint8Array> {
    const response = await this.send("GET", `/download/{id}/${this.encode(filename)}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  createFile(content: string, filename: string, mode = 0o644): Promise<unknown> {
    return this.call("POST", "/create/{id}", JSON.stringify({ content, filename, mode }));
  }

  /** Each of args is one word. */
  execute(command: string, ...args: string[]): Promise<unknown> {
    return this.call("POST", "/execute/{id}", JSON.stringify({ command, args }));
  }

  executeCode(
    code: string, filename: string | null = null, args: string[] = [], scriptType = "python",
    outputParams: string[] = [],
  ): Promise<unknown> {
    return this.call("POST", "/execute_code/{id}", JSON.stringify({
      code, filename, args, script_type: scriptType, output_params: outputParams,
    }));
  }

  async listFiles(directory = "", recursive = false): Promise<unknown> {
    const answer = await this.call("GET", `/files/{id}/${this.encode(directory)}?recursive=${recursive}`);
    return (answer as { files?: unknown }).files ?? answer;
  }

  readFile(filename: string, offset = 0, bufferSize = 4096): Promise<unknown> {
    return this.call("GET",
      `/readfile/{id}/${this.encode(filename)}?offset=${offset}&buffer_size=${bufferSize}`);
  }

  downloadFromEfast(
    fileParams: object[], savePath = "", efastUrl = "", token = "", timeout = 300,
  ): Promise<unknown> {
    return this.call("POST", "/download_from_efast/{id}", JSON.stringify({
      file_params: fileParams, save_path: savePath, efast_url: efastUrl, token, timeout,
    }));
  }

  /** Removes the session, if that is possible. */
  async close(): Promise<void> {
    await this.deleteSession().catch(() => undefined);
  }

  private encode(path: string): string {
    try {
      return pathParts(path);
    } catch (error) {
      throw new SandboxError("Invalid file path", (error as Error).message);
    }
  }

  private async isHealthy(server: string): Promise<boolean> {
    const known = this.health.get(server);
    if (known !== undefined && Date.now() < known.until) return known.good;
    let good = false;
    try {
      good = (await this.fetch(`${server}/workspace/se/healthy`)).status === 200;
    } catch {
      // not reachable
    }
    this.health.set(server, { good, until: Date.now() + (good ? healthyFor : 1000) });
    return good;
  }

  private async server(): Promise<string> {
    for (const server of rank(this.sessionId, this.options.servers.map((s) => s.replace(/\/+$/, "")))) {
      if (await this.isHealthy(server)) return server;
    }
    throw new SandboxError("No available server found", undefined, { servers: this.options.servers });
  }

  private async send(method: string, path: string, body?: string | FormData): Promise<Response> {
    const url = `${await this.server()}/workspace/se${path.replace("{id}", encodeURIComponent(this.sessionId))}`;
    const headers: Record<string, string> = {};
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    if (this.options.apiKey) headers["Authorization"] = `Bearer ${this.options.apiKey}`;
    let response: Response;
    try {
      response = await this.fetch(url, { method, headers, body });
    } catch (error) {
      throw new SandboxError(`${method} ${url}: ${(error as Error).message}`, error);
    }
    if (!response.ok) throw await sandboxError(response);
    return response;
  }

  /** The inner value of an answer. */
  private async call(method: string, path: string, body?: string | FormData): Promise<unknown> {
    const answer = await (await this.send(method, path, body)).json();
    return answer !== null && typeof answer === "object" && "result" in answer ? answer.result : answer;
  }
}

async function sandboxError(response: Response): Promise<SandboxError> {
  const text = await response.text();
  let body: Record<string, unknown> = { detail: text };
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // a proxy's answer, perhaps
  }
  const detail = body["detail"];
  const inner = (typeof detail === "object" && detail !== null ? detail : {}) as Record<string, unknown>;
  const message = inner["message"] ?? body["message"] ?? JSON.stringify(detail);
  return new SandboxError(String(message), inner["detail"] ?? detail, { status: response.status, body });
}
