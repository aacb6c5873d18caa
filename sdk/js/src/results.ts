/** What the server answers. Times are RFC 3339, sizes bytes, unless a name says otherwise. */

/** The end of one run of /execute. */
export interface Run {
  success: boolean;
  stdout: string;
  stderr: string;
  exit_code: number | null;
  error: string | null;
  /** seconds, wall clock */
  execution_time: number;
  timed_out: boolean;
  limits_hit: string[];
  /** name to base64; see decodeFile */
  files: Record<string, string>;
  [more: string]: unknown;
}

/** The end of a command or of code in a session. */
export interface Result {
  stdout: string;
  stderr: string;
  exit_code: number | null;
  /** name of the signal that ended it */
  signal: string | null;
  timed_out: boolean;
  limits_hit: string[];
  duration_ms: number;
  cpu_ms: number;
  memory_peak_mb: number;
  stdout_truncated: boolean;
  stderr_truncated: boolean;
  /** its number in the session */
  process: number;
  /** it ran in an interpreter that had been waiting */
  warm: boolean;
}

/** One event of a stream. */
export interface StreamEvent {
  /** "start", "stdout", "stderr", "gap", "result", "log", ... */
  name: string;
  data: Record<string, unknown>;
  /** the text of an output or log event, else "" */
  text: string;
}

export interface SessionInfo {
  id: string;
  environment: string;
  state: "asleep" | "waking" | "awake" | "falling asleep";
  ephemeral: boolean;
  size: number;
  disk_bytes: number;
  network: string;
  env: Record<string, string>;
  labels: Record<string, string>;
  created_at: string;
  last_used: string;
  expires_at: string | null;
  expires_soon: boolean;
  processes: number;
  [more: string]: unknown;
}

export interface FileInfo {
  name: string;
  path: string;
  type: "file" | "directory" | "link" | "other";
  size: number;
  /** "0644" */
  mode: string;
  modified_at: string;
  /** of a link */
  target?: string;
}

/** Something that was found: line counts from 1; 0 where a name was looked for. */
export interface Match {
  path: string;
  line: number;
  text: string;
}

export interface ProcessInfo {
  process: number;
  pid: number;
  command: string;
  background: boolean;
  terminal: boolean;
  running: boolean;
  exit_code: number | null;
  signal: string | null;
  timed_out: boolean;
  started_at: string;
  ended_at: string | null;
  [more: string]: unknown;
}

/** What a process has written and the server still holds. */
export interface Output {
  stdout: string;
  stderr: string;
  /** where to go on reading */
  next: { stdout: number; stderr: number };
  running: boolean;
}

export interface Usage {
  size: number;
  used: number;
  inodes: number;
  inodes_used: number;
  cpu_ms: number;
  memory_peak_mb: number;
  [more: string]: unknown;
}

export interface Snapshot {
  id: string;
  session: string;
  name: string | null;
  size: number;
  disk_bytes: number;
  created_at: string;
}

export interface EnvironmentInfo {
  name: string;
  status: "building" | "ready" | "failed";
  description: string;
  error: string | null;
  [more: string]: unknown;
}

/** What became of one URL that was fetched into a session. */
export interface Fetched {
  url: string;
  path: string;
  success: boolean;
  size: number;
  status: number | null;
  error: string | null;
}
