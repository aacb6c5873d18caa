/** One session: a sandbox that stays. */
import { ApiError, NotFound } from "./errors.js";
import { namePart, pathParts } from "./paths.js";
import { Terminal, TerminalOptions } from "./terminal.js";
import { Query, said, Transport } from "./transport.js";
import type {
  Fetched, FileInfo, Match, Output, ProcessInfo, Result, SessionInfo, Snapshot, StreamEvent, Usage,
} from "./results.js";

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  /** seconds */
  timeout?: number;
  output_kb?: number;
  terminal?: boolean;
  rows?: number;
  columns?: number;
  stdin_open?: boolean;
  signal?: AbortSignal;
}

export interface CodeOptions {
  /** "python" unless said */
  language?: string;
  filename?: string;
  args?: string[];
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeout?: number;
  output_kb?: number;
  signal?: AbortSignal;
}

type Bytes = string | Uint8Array | Blob | ReadableStream<Uint8Array>;

/** The path of a session in the API. */
export function sessionPath(id: string): string {
  return `/v1/sessions/${namePart(id)}`;
}

function commandBody(command: string | string[], options: CommandOptions): object {
  const { signal: _, ...rest } = options;
  return { ...(typeof command === "string" ? { command } : { argv: command }), ...said(rest) };
}

function codeBody(code: string, options: CodeOptions): object {
  const { signal: _, ...rest } = options;
  return { code, language: "python", ...said(rest) };
}

const octal = (mode?: number) => mode === undefined ? undefined : mode.toString(8).padStart(4, "0");

/**
 * A sandbox that stays: files, commands and code in one workspace. Paths are relative to it
 * (/workspace inside). Every method throws ApiError; NotFound when the session is gone.
 */
export class Session {
  readonly id: string;
  private readonly path: string;

  constructor(private readonly transport: Transport, readonly created: SessionInfo) {
    this.id = created.id;
    this.path = sessionPath(created.id);
  }

  /** What the server knows of it. */
  info(): Promise<SessionInfo> {
    return this.transport.json("GET", this.path);
  }

  /** Changes size (only more), idle_timeout, idle_ttl, ttl, env, labels. */
  change(fields: Record<string, unknown>): Promise<SessionInfo> {
    return this.transport.json("PATCH", this.path, { json: fields });
  }

  /** Ends its processes and gives its memory back; the next call wakes it. */
  sleep(): Promise<SessionInfo> {
    return this.post("/sleep", {});
  }

  /** Removes it and everything in it. That it is gone already is no error. */
  async delete(): Promise<void> {
    try {
      await this.transport.request("DELETE", this.path);
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
    }
  }

  // -- commands and code

  /** Runs a command: text for a shell, or a list of words. One that fails is no error. */
  exec(command: string | string[], options: CommandOptions = {}): Promise<Result> {
    return this.transport.json("POST", `${this.path}/exec`, {
      json: commandBody(command, options), signal: options.signal,
    });
  }

  /** Runs code. */
  run(code: string, options: CodeOptions = {}): Promise<Result> {
    return this.transport.json("POST", `${this.path}/run`, {
      json: codeBody(code, options), signal: options.signal,
    });
  }

  /** As exec, as it happens: "start", "stdout", "stderr", then "result". Leaving the loop ends it. */
  stream(command: string | string[], options: CommandOptions = {}): AsyncGenerator<StreamEvent> {
    return this.transport.events("POST", `${this.path}/exec`, {
      json: commandBody(command, options), signal: options.signal,
    });
  }

  /** As run, as it happens. */
  streamRun(code: string, options: CodeOptions = {}): AsyncGenerator<StreamEvent> {
    return this.transport.events("POST", `${this.path}/run`, {
      json: codeBody(code, options), signal: options.signal,
    });
  }

  /** Starts a command that goes on in the background. */
  async start(command: string | string[], options: CommandOptions = {}): Promise<ProcessInfo> {
    const { process } = await this.transport.json<{ process: number }>("POST", `${this.path}/exec`, {
      json: { ...commandBody(command, options), background: true },
    });
    return this.process(process);
  }

  /** Every process that was started here and is still remembered. */
  async processes(): Promise<ProcessInfo[]> {
    return (await this.transport.json<{ processes: ProcessInfo[] }>("GET", `${this.path}/processes`))
      .processes;
  }

  /** One process by its number. */
  process(process: number): Promise<ProcessInfo> {
    return this.transport.json("GET", this.of(process));
  }

  /** What it has written from these offsets on. */
  output(process: number, stdout = 0, stderr = 0): Promise<Output> {
    return this.transport.json("GET", `${this.of(process)}/output`, { query: { stdout, stderr } });
  }

  /** Yields its output from these offsets on, then "result". */
  follow(process: number, stdout = 0, stderr = 0): AsyncGenerator<StreamEvent> {
    return this.transport.events("GET", `${this.of(process)}/output`, {
      query: { stdout, stderr, follow: true },
    });
  }

  /** Sends a signal (name or number) to it, and with `group` to all that it started. */
  async signal(process: number, signal: string | number = "TERM", group = true): Promise<void> {
    await this.post(`/processes/${process}/signal`, { signal, group });
  }

  /** Ends it, and forgets it if it has ended. */
  async kill(process: number): Promise<void> {
    await this.transport.request("DELETE", this.of(process));
  }

  /** Gives it something to read; it must have been started with stdin_open. */
  async writeStdin(process: number, data: Bytes, close = false): Promise<void> {
    await this.transport.request("POST", `${this.of(process)}/stdin`, {
      body: data as BodyInit, query: { close },
    });
  }

  /** Opens a terminal, over a WebSocket. */
  terminal(options: TerminalOptions = {}): Promise<Terminal> {
    const { rows, columns, command, cwd } = options;
    return Terminal.open(this.transport, `${this.path}/terminal`, { rows, columns, command, cwd }, options);
  }

  /** Attaches to a process or a terminal again; `offset`: where its output goes on. */
  attach(process: number, offset = 0, options: TerminalOptions = {}): Promise<Terminal> {
    return Terminal.open(this.transport, `${this.of(process)}/attach`, { offset }, options);
  }

  // -- files

  /** Writes a file. It appears whole or not at all. */
  write(
    path: string, data: Bytes, options: { mode?: number; exclusive?: boolean; append?: boolean } = {},
  ): Promise<FileInfo> {
    const { mode, exclusive, append } = options;
    return this.transport.json("PUT", this.file(path), {
      body: data as BodyInit, query: { mode: octal(mode), exclusive, append },
    });
  }

  /** The bytes of a file, or of a part of it. */
  async read(path: string, offset?: number, size?: number): Promise<Uint8Array> {
    const headers: Record<string, string> = {};
    if (offset !== undefined || size !== undefined) {
      const first = offset ?? 0;
      headers["Range"] = `bytes=${first}-${size === undefined ? "" : first + size - 1}`;
    }
    const response = await this.transport.request("GET", this.file(path), { headers });
    return new Uint8Array(await response.arrayBuffer());
  }

  /** The text of a file. */
  async readText(path: string): Promise<string> {
    return (await this.transport.request("GET", this.file(path))).text();
  }

  /** The bytes of a file, as a stream. */
  async readStream(path: string): Promise<ReadableStream<Uint8Array>> {
    return (await this.transport.request("GET", this.file(path))).body as ReadableStream<Uint8Array>;
  }

  /** Removes a file, or with `recursive` a directory. */
  async remove(path: string, recursive = false): Promise<void> {
    await this.transport.request("DELETE", this.file(path), { query: { recursive } });
  }

  /** The files in a directory. */
  async list(path = "", recursive = false): Promise<FileInfo[]> {
    return (await this.get<{ entries: FileInfo[] }>("/ls", { path, recursive })).entries;
  }

  /** One file. */
  stat(path: string): Promise<FileInfo> {
    return this.get("/stat", { path });
  }

  /** Whether there is such a file or directory. */
  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Makes a directory. */
  async mkdir(path: string, options: { mode?: number; parents?: boolean } = {}): Promise<void> {
    await this.post("/mkdir", { path, mode: octal(options.mode), parents: options.parents ?? true });
  }

  /** Moves or renames. */
  async move(from: string, to: string, replace = false): Promise<void> {
    await this.post("/move", { from, to, replace });
  }

  /** Copies a file or a directory. */
  async copy(from: string, to: string, replace = false): Promise<void> {
    await this.post("/copy", { from, to, replace });
  }

  /** Sets the mode, as 0o755. */
  async chmod(path: string, mode: number, recursive = false): Promise<void> {
    await this.post("/chmod", { path, mode: octal(mode), recursive });
  }

  /** Finds a text in files, or a pattern of names ("*.py"). */
  async search(
    what: { text?: string; name?: string; path?: string; ignore_case?: boolean; limit?: number },
  ): Promise<Match[]> {
    return (await this.get<{ matches: Match[] }>("/search", what)).matches;
  }

  /** A tar archive of a directory. */
  async downloadTar(path = ""): Promise<ReadableStream<Uint8Array>> {
    return (await this.transport.request("GET", `${this.path}/tar`, { query: { path } }))
      .body as ReadableStream<Uint8Array>;
  }

  /** Unpacks a tar archive into a directory. */
  uploadTar(archive: Bytes, path = ""): Promise<{ entries: number }> {
    return this.transport.json("PUT", `${this.path}/tar`, { body: archive as BodyInit, query: { path } });
  }

  /** Yields "ready", "created", "modified", "removed", "moved", "lost". */
  watch(path = "", recursive = true): AsyncGenerator<StreamEvent> {
    return this.transport.events("GET", `${this.path}/watch`, { query: { path, recursive } });
  }

  /** What it uses. */
  usage(): Promise<Usage> {
    return this.get("/usage");
  }

  /** Has the server fetch URLs into it. */
  async fetch(
    files: { url: string; headers?: Record<string, string>; path?: string }[], timeout?: number,
  ): Promise<Fetched[]> {
    return (await this.post<{ results: Fetched[] }>("/fetch", { files, timeout })).results;
  }

  // -- copies

  /** Keeps a copy of the workspace as it is now. */
  snapshot(name?: string): Promise<Snapshot> {
    return this.post("/snapshots", { name });
  }

  /** The snapshots of it. */
  async snapshots(): Promise<Snapshot[]> {
    return (await this.get<{ snapshots: Snapshot[] }>("/snapshots")).snapshots;
  }

  /** Makes its workspace that of a snapshot; what runs in it ends. */
  restore(snapshot: string | Snapshot): Promise<SessionInfo> {
    return this.post("/restore", { snapshot: typeof snapshot === "string" ? snapshot : snapshot.id });
  }

  /** A new session with a copy of this one's workspace. */
  async fork(options: Record<string, unknown> = {}): Promise<Session> {
    return new Session(this.transport, await this.post<SessionInfo>("/fork", options));
  }

  private get<T>(path: string, query?: object): Promise<T> {
    return this.transport.json("GET", this.path + path, { query: query as Query });
  }

  private post<T>(path: string, body: object): Promise<T> {
    return this.transport.json("POST", this.path + path, { json: said(body) });
  }

  private of(process: number): string {
    return `${this.path}/processes/${process}`;
  }

  private file(path: string): string {
    return `${this.path}/files/${pathParts(path)}`;
  }
}
