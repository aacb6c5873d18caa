/** Sends requests, tries again where that is safe, and turns error answers into errors. */
import { errorOf, Unreachable } from "./errors.js";
import type { StreamEvent } from "./results.js";

export interface ClientOptions {
  /** key of the server, if it wants one */
  apiKey?: string;
  /** milliseconds that an answer may take until its headers; 330,000 unless said */
  timeout?: number;
  /** how often what is safe to repeat is repeated; 2 unless said */
  retries?: number;
  /** a fetch of your own */
  fetch?: typeof fetch;
}

export type Query = Record<string, string | number | boolean | undefined | null> | URLSearchParams;

export interface RequestOptions {
  query?: Query;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

const repeatable = new Set(["GET", "HEAD", "DELETE"]);
const longestPause = 10_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The members that were said. */
export function said<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  ) as Partial<T>;
}

function queryOf(query: Query | undefined): string {
  if (query === undefined) return "";
  const params = query instanceof URLSearchParams ? query : new URLSearchParams(
    Object.entries(said(query)).map(([name, value]) => [name, String(value)]),
  );
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

/** One server. */
export class Transport {
  readonly baseUrl: string;
  readonly apiKey?: string;
  private readonly timeout: number;
  private readonly retries: number;
  private readonly fetch: typeof fetch;

  constructor(baseUrl: string, options: ClientOptions = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.apiKey = options.apiKey;
    this.timeout = options.timeout ?? 330_000;
    this.retries = options.retries ?? 2;
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /**
   * The answer to a request that succeeded.
   *
   * Tried again: what the server turned away (429, 503), and, for methods that may be repeated, what
   * broke off. fetch does not say whether a request was sent, so a POST that broke off is not.
   *
   * @throws ApiError, Unreachable
   */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      let wait: number;
      try {
        const response = await this.send(method, path, options);
        if (response.ok) return response;
        const error = await errorOf(response);
        const mayRepeat = response.status === 429 || response.status === 503;
        if (attempt >= this.retries || !mayRepeat || options.body instanceof ReadableStream) throw error;
        wait = (error.retryAfter ?? 0.2 * 2 ** attempt) * 1000;
      } catch (error) {
        if (!(error instanceof Unreachable) || attempt >= this.retries || !repeatable.has(method) ||
            options.signal?.aborted) throw error;
        wait = 100 * 2 ** attempt;
      }
      await pause(Math.min(wait, longestPause) * (0.8 + 0.4 * Math.random()));
    }
  }

  private async send(method: string, path: string, options: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = { ...options.headers };
    if (this.apiKey !== undefined) headers["Authorization"] = `Bearer ${this.apiKey}`;
    const init: RequestInit & { duplex?: "half" } = { method, headers, body: options.body };
    if (options.json !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(options.json);
    }
    if (options.body instanceof ReadableStream) init.duplex = "half";
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.timeout);
    const forward = () => late.abort();
    options.signal?.addEventListener("abort", forward, { once: true });
    if (options.signal?.aborted) late.abort();
    try {
      return await this.fetch(this.baseUrl + path + queryOf(options.query), {
        ...init, signal: late.signal,
      });
    } catch (error) {
      throw new Unreachable(`${method} ${this.baseUrl}${path}: ${(error as Error).message}`, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The decoded JSON of an answer; undefined where there is no body. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(method, path, options);
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Yields each server-sent event. Leaving the loop ends the request, and what it started. */
  async *events(method: string, path: string, options: RequestOptions = {}):
  AsyncGenerator<StreamEvent> {
    const ended = new AbortController();
    options.signal?.addEventListener("abort", () => ended.abort(), { once: true });
    const response = await this.request(method, path, {
      ...options, signal: ended.signal,
      headers: { ...options.headers, Accept: "text/event-stream" },
    });
    try {
      yield* readEvents(response.body as ReadableStream<Uint8Array>);
    } finally {
      ended.abort();
    }
  }
}

/** Decodes server-sent events from a body. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      pending += decoder.decode(value, { stream: true });
      const blocks = pending.split("\n\n");
      pending = blocks.pop() as string;
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function parseEvent(block: string): StreamEvent | undefined {
  let name = "message";
  const lines: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) lines.push(line.slice(5).replace(/^ /, ""));
  }
  if (lines.length === 0) return undefined; // a comment, to keep the connection alive
  const data = JSON.parse(lines.join("\n")) as Record<string, unknown>;
  return { name, data, text: typeof data["text"] === "string" ? (data["text"] as string) : "" };
}
