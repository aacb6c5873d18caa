/** One environment. */
import { namePart } from "./paths.js";
import type { EnvironmentInfo, StreamEvent } from "./results.js";
import type { Transport } from "./transport.js";

/** A named set of packages, in which runs and sessions can be. */
export class Environment {
  private readonly path: string;

  constructor(private readonly transport: Transport, readonly name: string) {
    this.path = `/environments/${namePart(name)}`;
  }

  /** What the server knows of it. @throws NotFound */
  info(): Promise<EnvironmentInfo> {
    return this.transport.json("GET", this.path);
  }

  /** Changes description, warm, network, limits, ... */
  change(fields: Record<string, unknown>): Promise<EnvironmentInfo> {
    return this.transport.json("PATCH", this.path, { json: fields });
  }

  /** Builds it anew; the old one serves meanwhile. */
  async rebuild(wait = true): Promise<EnvironmentInfo> {
    await this.transport.json("POST", `${this.path}/rebuild`, { query: { wait } });
    return this.info();
  }

  /** Its packages. */
  async packages(): Promise<{ name: string; version: string }[]> {
    return (await this.transport.json<{ packages: { name: string; version: string }[] }>(
      "GET", `${this.path}/packages`)).packages;
  }

  /** The text of its build's log, or of the last `tail` lines. */
  async logs(tail?: number): Promise<string> {
    return (await this.transport.request("GET", `${this.path}/logs`, { query: { tail } })).text();
  }

  /** Yields the log as it is written, until the build has ended. */
  follow(): AsyncGenerator<StreamEvent> {
    return this.transport.events("GET", `${this.path}/logs`, { query: { follow: true } });
  }

  /** Removes it; runs that are in it finish. @throws NotFound */
  async delete(): Promise<void> {
    await this.transport.request("DELETE", this.path);
  }
}
