import { unlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { PortShareOptions } from '@openvpnd/config';
import { formatEndpoint, parseEndpoint } from '@openvpnd/external-mux';

/**
 * Connections at a time: each takes two descriptors, which the tunnel's clients need too. OpenVPN has a process of its own for them. Beyond, the oldest goes: a stranger who only
 * holds connections keeps nobody out for long.
 */
const MAX_CONNECTIONS = 1024;
/** OpenVPN: S_IRUSR | S_IWUSR | S_IRGRP. */
const JOURNAL_MODE = 0o640;
const MAPPED = /^::ffff:(?=[0-9.]+$)/;

/** A connection that was handed over, and the one to the other service. */
interface SharedConnection {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * Hands connections that do not speak OpenVPN to other services that share the port with it. What waits in either direction is bounded: who does not read holds up who sends, and
 * each side may end its half by itself. OpenVPN: port_share_proxy().
 */
export class PortShare {
  readonly #say: (line: string) => void;
  readonly #maxConnections: number;
  readonly #open: Set<SharedConnection> = new Set();
  #closed = false;

  constructor(say: (line: string) => void, maxConnections: number = MAX_CONNECTIONS) {
    this.#say = say;
    this.#maxConnections = maxConnections;
  }

  /**
   * Connects a client with the service at `place` until both are done.
   *
   * @param first what the client has said already
   */
  take(place: PortShareOptions, client: Socket, first: Uint8Array): void {
    const origin = endpointText(client.remoteAddress, client.remotePort);
    const server = connect({ host: place.host, port: place.port, allowHalfOpen: true });
    const connection: SharedConnection = { client, server };
    const [oldest] = this.#open;
    if (this.#open.size >= this.#maxConnections) this.#end(oldest);
    this.#open.add(connection);
    let journal: string | undefined;
    client.pause();
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ]) {
      socket.on('error', () => {});
      // Who ends in order may still have something to be delivered; who does not has not.
      socket.on('close', (failed) => {
        if (failed || socket.readableEnded === false) other.destroy();
        if (!client.destroyed || !server.destroyed) return;
        this.#open.delete(connection);
        if (journal !== undefined) forget(journal);
        journal = undefined;
      });
    }
    if (this.#closed) this.#end(connection);
    server.once('error', (error) => {
      if (server.connecting || server.remoteAddress === undefined) {
        this.#say(`PORT SHARE PROXY: connect to port-share server failed: ${error.message}`);
      }
    });
    server.once('connect', () => {
      if (place.directory !== undefined) {
        journal = this.#write(place.directory, endpointText(server.localAddress, server.localPort), origin);
      }
      server.write(first);
      client.pipe(server);
      server.pipe(client);
    });
  }

  /** Ends every connection. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#open) this.#end(connection);
  }

  #end({ client, server }: SharedConnection): void {
    client.destroy();
    server.destroy();
  }

  /** A file named after our end of the connection to the service tells it whose connection that is. */
  #write(directory: string, name: string, origin: string): string | undefined {
    const path = join(directory, name);
    try {
      writeFileSync(path, origin, { mode: JOURNAL_MODE });
      return path;
    } catch (error) {
      this.#say(`PORT SHARE: unable to write journal file in ${directory}: ${(error as Error).message}`);
      return undefined;
    }
  }
}

function endpointText(address: string | undefined, port: number | undefined): string {
  const [host = ''] = (address ?? '').replace(MAPPED, '').split('%');
  const endpoint = parseEndpoint(host, port ?? 0);
  return endpoint === undefined ? '[AF_UNSPEC]' : formatEndpoint(endpoint);
}

function forget(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has tidied up already.
  }
}
