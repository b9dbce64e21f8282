import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab, LabNamespace } from '@openvpnd/testkit/node';

/** An address of UDP. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

const PROGRAM = fileURLToPath(new URL('./hostile-peer.mjs', import.meta.url));
/** Beyond what any attack of these tests takes. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Packets of a session as the relay saw them, in order. */
export interface Recording {
  /** Client to server. */
  readonly up: readonly Uint8Array[];
  /** Server to client. */
  readonly down: readonly Uint8Array[];
}

/** The remote control of `hostile-peer.mjs`, which runs inside a namespace. */
export class HostilePeer {
  readonly #connection: Socket;
  readonly #waiting: Map<number, (answer: { result?: unknown; error?: string }) => void> = new Map();
  #nextId = 1;

  private constructor(connection: Socket) {
    this.#connection = connection;
    let partial = '';
    connection.setEncoding('utf8');
    connection.on('data', (text: string) => {
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) {
        const answer = JSON.parse(line) as { id: number; result?: unknown; error?: string };
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      }
    });
    connection.on('error', () => {});
  }

  static async start(lab: Lab, place: LabNamespace): Promise<HostilePeer> {
    const path = join(lab.directory, `${place.name}.sock`);
    const running = place.start(process.execPath, [PROGRAM, path], { title: `${place.name}: hostile peer` });
    await running.waitForLine(/^ready$/);
    return new HostilePeer(
      await new Promise((resolve, reject) => {
        const connection = connect(path, () => resolve(connection));
        connection.once('error', reject);
      }),
    );
  }

  async open(name: string, address: string): Promise<void> {
    await this.#call('open', { name, address });
  }

  /** Sends packets in order from a socket; `perSecond` keeps the receiver's buffer, which is not under test, from running over. */
  async send(name: string, packets: readonly Uint8Array[], to: Target, perSecond = 8000): Promise<void> {
    await this.#call('send', { name, packets: packets.map(base64), to, perSecond });
  }

  async drain(name: string): Promise<Uint8Array[]> {
    const { packets } = (await this.#call('drain', { name })) as { packets: string[] };
    return packets.map((text) => Buffer.from(text, 'base64'));
  }

  /** Stands between a client and the server; the socket `upstream` then sends from what the server takes for the client's address. */
  async relay(settings: { address: string; port: number; server: Target; upstream: string }): Promise<Target> {
    const { port } = (await this.#call('relay', settings)) as { port: number };
    return { address: settings.address, port };
  }

  async recorded(): Promise<Recording> {
    const { up, down } = (await this.#call('recorded', {})) as { up: string[]; down: string[] };
    return { up: up.map((text) => Buffer.from(text, 'base64')), down: down.map((text) => Buffer.from(text, 'base64')) };
  }

  /** One packet from each of `count` addresses below `prefix` (two octets), which must be routed to this namespace. */
  async flood(
    prefix: string,
    count: number,
    packets: readonly Uint8Array[],
    to: Target,
    perSecond: number,
  ): Promise<void> {
    await this.#call('flood', { prefix, count, packets: packets.map(base64), to, perSecond });
  }

  /** Sessions that prove their address, send `after` as control messages and then nothing; gives how many were answered. */
  async halfOpen(
    prefix: string,
    count: number,
    to: Target,
    after: readonly Uint8Array[],
    perSecond: number,
  ): Promise<number> {
    const settings = { prefix, count, to, after: after.map(base64), perSecond };
    return ((await this.#call('halfOpen', settings)) as { accepted: number }).accepted;
  }

  #call(method: string, params: object): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`hostile peer: no answer to ${method}`)), ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result);
        else reject(new Error(`hostile peer: ${method}: ${error}`));
      });
      this.#connection.write(`${JSON.stringify({ id, method, ...params })}\n`);
    });
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
