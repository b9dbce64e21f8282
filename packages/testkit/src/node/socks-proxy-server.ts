import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, isIPv6, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { EndableServer } from './endable-server.js';

/** What a proxy asks of its clients. */
export interface SocksProxySettings {
  /** With them only who knows them is served. */
  readonly user?: string;
  readonly password?: string;
  /** Also sends each UDP answer in front as a fragment and from a stranger's address, which the client has to drop. */
  readonly disturb?: boolean;
  /** Tells the address of its relay as the unspecified one, which stands for its own. */
  readonly unspecified?: boolean;
  /** Names that it resolves; others go to the system. */
  readonly names?: Readonly<Record<string, string>>;
}

const GRANTED = 0;
const UNREACHABLE = 5;

/**
 * A SOCKS 5 proxy for tests (RFC 1928, RFC 1929): CONNECT and UDP ASSOCIATE, IPv4, IPv6 and names. It says on `log` what it was asked.
 */
export class SocksProxyServer {
  readonly #settings: SocksProxySettings;
  readonly #log: (line: string) => void;
  readonly #server: EndableServer;

  constructor(settings: SocksProxySettings = {}, log: (line: string) => void = () => {}) {
    this.#settings = settings;
    this.#log = log;
    this.#server = new EndableServer((socket) => void this.#serve(socket));
  }

  /** The port that it listens on. */
  listen(address: string, port: number): Promise<number> {
    return this.#server.listen(address, port);
  }

  /** Ends every connection and association. */
  close(): void {
    this.#server.close();
  }

  /** Ends every connection and association, and goes on listening. */
  endAll(): void {
    this.#server.endAll();
  }

  async #serve(socket: Socket): Promise<void> {
    const read = reader(socket);
    try {
      const [, methods] = await read(2);
      const offered = await read(methods);
      const { user, password } = this.#settings;
      const wanted = user === undefined ? 0 : 2;
      if (!offered.includes(wanted)) {
        socket.end(Buffer.of(5, 0xff));
        return;
      }
      socket.write(Buffer.of(5, wanted));
      if (user !== undefined) {
        const [, nameLength] = await read(2);
        const name = (await read(nameLength)).toString();
        const [secretLength] = await read(1);
        const secret = (await read(secretLength)).toString();
        const right = name === user && secret === password;
        this.#log(`user ${name}: ${right ? 'accepted' : 'refused'}`);
        if (!right) {
          socket.end(Buffer.of(1, 1));
          return;
        }
        socket.write(Buffer.of(1, 0));
      }
      const [, command, , type] = await read(4);
      const host = await this.#host(read, type);
      const port = (await read(2)).readUInt16BE(0);
      this.#log(`command ${command} type ${type} ${host}:${port}`);
      if (command === 1) await this.#connect(socket, host, port);
      else if (command === 3) await this.#associate(socket);
      else socket.end(reply(7));
    } catch {
      socket.destroy();
    }
  }

  async #host(read: (count: number) => Promise<Buffer>, type: number): Promise<string> {
    if (type === 1) return (await read(4)).join('.');
    if (type === 4) return ((await read(16)).toString('hex').match(/.{4}/g) ?? []).join(':');
    const [length] = await read(1);
    return (await read(length)).toString();
  }

  async #addressOf(host: string): Promise<string> {
    return this.#settings.names?.[host] ?? (await lookup(host)).address;
  }

  async #connect(client: Socket, host: string, port: number): Promise<void> {
    const server = connect({ host: await this.#addressOf(host), port });
    this.#server.keep(server);
    server.once('error', () => client.end(reply(UNREACHABLE)));
    server.once('connect', () => {
      client.write(reply(GRANTED));
      client.pipe(server).pipe(client);
      client.resume();
    });
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
  }

  async #associate(control: Socket): Promise<void> {
    const local = control.localAddress ?? '127.0.0.1';
    const family = isIPv6(local) ? 'udp6' : 'udp4';
    const inner = createSocket(family);
    const outer: Partial<Record<'udp4' | 'udp6', UdpSocket>> = {};
    let client: RemoteInfo | undefined;
    const answer = (data: Buffer, from: RemoteInfo): void => {
      if (client === undefined) return;
      const frame = (host: string, frameNumber?: number): Buffer =>
        SocksClient.createUDPFrame({ remoteHost: { host, port: from.port }, data, frameNumber });
      if (this.#settings.disturb) {
        inner.send(frame(from.address, 1), client.port, client.address);
        inner.send(frame('203.0.113.99'), client.port, client.address);
        inner.send(frame(from.address).subarray(0, 5), client.port, client.address);
      }
      inner.send(frame(from.address), client.port, client.address);
    };
    inner.on('message', (packet, from) => {
      client = from;
      const { remoteHost, data } = SocksClient.parseUDPFrame(packet);
      void this.#addressOf(remoteHost.host).then((address) => {
        const kind = isIPv6(address) ? 'udp6' : 'udp4';
        let socket = outer[kind];
        if (socket === undefined) {
          this.#log(`datagrams for type ${packet[3]} ${remoteHost.host}:${remoteHost.port}`);
          socket = createSocket(kind);
          outer[kind] = socket;
          socket.on('message', answer);
          socket.on('error', () => {});
        }
        socket.send(data, remoteHost.port, address);
      });
    });
    await new Promise<void>((resolve) => inner.bind(0, local, resolve));
    control.write(reply(GRANTED, this.#settings.unspecified ? undefined : local, inner.address().port));
    control.resume();
    control.once('close', () => {
      this.#log('association over');
      inner.close();
      outer.udp4?.close();
      outer.udp6?.close();
    });
  }
}

function reply(code: number, address = '0.0.0.0', port = 0): Buffer {
  const host = address.replace(/^::ffff:(?=[0-9.]+$)/, '');
  // Behind the first three bytes it is made like the header of a datagram.
  const frame = SocksClient.createUDPFrame({ remoteHost: { host, port }, data: Buffer.alloc(0) });
  return Buffer.concat([Buffer.of(5, code, 0), frame.subarray(3)]);
}

/** Reads exact counts of bytes off a socket. Rejects when it ends. */
function reader(socket: Socket): (count: number) => Promise<Buffer> {
  return async (count) => {
    for (;;) {
      const bytes = count === 0 ? Buffer.alloc(0) : (socket.read(count) as Buffer | null);
      if (bytes !== null) return bytes;
      if (socket.destroyed || socket.readableEnded) throw new Error('ended');
      await new Promise<void>((resolve) => {
        const done = (): void => {
          socket.off('readable', done);
          socket.off('close', done);
          resolve();
        };
        socket.once('readable', done);
        socket.once('close', done);
      });
    }
  };
}
