/** A terminal, or the input and output of a process, over a WebSocket. */
import { DunlinError, Unreachable } from "./errors.js";
import { said, Transport } from "./transport.js";

export interface TerminalOptions {
  rows?: number;
  columns?: number;
  /** a shell unless said */
  command?: string;
  cwd?: string;
  /** called with each piece of output */
  onData?: (bytes: Uint8Array) => void;
  /** called once, when the process has ended */
  onExit?: (exit: { exit_code: number | null; signal: string | null; timed_out: boolean }) => void;
  /** called once, when the connection is closed, for whatever reason */
  onClose?: (code: number, reason: string) => void;
  /** called when output was lost because it was not read in time */
  onGap?: (bytes: number) => void;
  /** Node before 22 has no WebSocket of its own: that of a package */
  WebSocket?: typeof WebSocket;
}

/** The subprotocol that carries a key: a browser cannot send it in a header. */
export function keyProtocol(key: string): string {
  const bytes = new TextEncoder().encode(key);
  const text = btoa(String.fromCharCode(...bytes));
  return "dunlin.key." + text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** An open terminal. */
export class Terminal {
  /** Number of the process, for Session.attach. */
  process = 0;
  /** Bytes of output that came before those of this connection, and then came here. */
  offset = 0;

  private constructor(private readonly socket: WebSocket, private readonly options: TerminalOptions) {}

  /** Connects; resolves when the process has started. For Session.terminal and Session.attach. */
  static open(
    transport: Transport, path: string, query: object, options: TerminalOptions,
  ): Promise<Terminal> {
    const Socket = options.WebSocket ?? globalThis.WebSocket;
    if (Socket === undefined) {
      throw new DunlinError("this JavaScript has no WebSocket: give one in the options");
    }
    const params = new URLSearchParams(
      Object.entries(said(query)).map(([name, value]) => [name, String(value)]));
    const url = `${transport.baseUrl.replace(/^http/, "ws")}${path}?${params}`;
    const protocols = transport.apiKey === undefined ? [] : ["dunlin", keyProtocol(transport.apiKey)];
    const socket = new Socket(url, protocols);
    socket.binaryType = "arraybuffer";
    const terminal = new Terminal(socket, options);
    return new Promise((resolve, reject) => {
      socket.onmessage = (event: MessageEvent) => {
        if (terminal.receive(event.data as ArrayBuffer | string)) resolve(terminal);
      };
      socket.onclose = (event: CloseEvent) => {
        reject(new Unreachable(`${url}: closed (${event.code} ${event.reason})`));
        options.onClose?.(event.code, event.reason);
      };
      socket.onerror = () => undefined; // the close that follows says more
    });
  }

  /** True when it was the first message, which names the process. */
  private receive(data: ArrayBuffer | string): boolean {
    if (typeof data !== "string") {
      this.offset += data.byteLength;
      this.options.onData?.(new Uint8Array(data));
      return false;
    }
    const message = JSON.parse(data);
    if (message.type === "process") {
      this.process = message.process;
      this.offset = message.offset ?? 0;
      return true;
    }
    if (message.type === "gap") {
      this.offset += message.bytes;
      this.options.onGap?.(message.bytes);
    } else if (message.type === "exit") {
      this.options.onExit?.(message);
    }
    return false;
  }

  /** Types something. */
  write(data: string | Uint8Array): void {
    this.socket.send(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Tells the size of the window. */
  resize(rows: number, columns: number): void {
    this.socket.send(JSON.stringify({ type: "resize", rows, columns }));
  }

  /** Sends a signal, as "INT". */
  signal(signal: string | number): void {
    this.socket.send(JSON.stringify({ type: "signal", signal }));
  }

  /** Ends its input. */
  end(): void {
    this.socket.send(JSON.stringify({ type: "eof" }));
  }

  /** Leaves; the process goes on and can be attached again. */
  close(): void {
    this.socket.close(1000);
  }
}
