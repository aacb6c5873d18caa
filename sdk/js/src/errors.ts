/** What can go wrong between a program and a Dunlin server. */

/** Base of every error of this package. */
export class DunlinError extends Error {
  constructor(message: string, readonly cause?: unknown) {
    super(message);
    this.name = new.target.name;
  }
}

/** No answer came: the server is down, the name is wrong, or the time was up. */
export class Unreachable extends DunlinError {}

/** The server answered with an error. */
export class ApiError extends DunlinError {
  /**
   * @param status HTTP status
   * @param detail the server's words
   * @param body the decoded JSON, or the text
   * @param retryAfter seconds after which to come back, if the server said so
   */
  constructor(
    readonly status: number, readonly detail: string, readonly body: unknown,
    readonly retryAfter?: number,
  ) {
    super(`${status}: ${detail}`);
  }
}

/** 400 or 422: a value is wrong; `detail` says which and why. */
export class InvalidRequest extends ApiError {}
/** 401: a key is missing or wrong. */
export class Unauthorized extends ApiError {}
/** 404: no such session, file, process, environment or snapshot. */
export class NotFound extends ApiError {}
/** 409: it exists, or something is in the way. */
export class Conflict extends ApiError {}
/** 413: a body is larger than the server takes. */
export class TooLarge extends ApiError {}
/** 429 or 503: not now; `retryAfter` says when. */
export class Overloaded extends ApiError {}
/** 507: the workspace, or the server's disk, is full. */
export class StorageFull extends ApiError {}

const byStatus: Record<number, typeof ApiError> = {
  400: InvalidRequest, 422: InvalidRequest, 401: Unauthorized, 404: NotFound, 409: Conflict,
  413: TooLarge, 429: Overloaded, 503: Overloaded, 507: StorageFull,
};

interface Violation {
  loc?: unknown[];
  msg?: string;
}

function words(body: unknown): string {
  const detail = (body as { detail?: unknown } | null)?.detail ?? body;
  if (Array.isArray(detail)) {
    return (detail as Violation[]).map((one) => `${(one.loc ?? []).join(".")}: ${one.msg ?? ""}`)
      .join("; ");
  }
  return typeof detail === "string" ? detail : JSON.stringify(detail);
}

/** The error that an answer of status 400 or more stands for. Reads its body. */
export async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // a proxy's answer, perhaps
  }
  const after = Number(response.headers.get("retry-after") ?? NaN);
  const Kind = byStatus[response.status] ?? ApiError;
  return new Kind(response.status, words(body), body, Number.isFinite(after) ? after : undefined);
}

/** The error of sandbox_runtime's SDK, thrown by SharedEnvSandbox. */
export class SandboxError extends Error {
  constructor(
    message: string, readonly originalError?: unknown,
    readonly context: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = "SandboxError";
  }
}
