import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer as createHttpServer, get } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinkSocket } from '@openvpnd/external-mux';
import { tcpLinks } from '@openvpnd/external-mux/node';
import { ADDRESS_PORT, type LinkAddress, PacketVector } from '@openvpnd/memory';
import { framePacket } from '@openvpnd/wire';
import { afterEach, describe, expect, test } from 'vitest';
import { PortShare } from '../src/host/port-share.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

interface Shared {
  readonly port: number;
  readonly lines: string[];
  readonly share: PortShare;
  /** Links that were handed to the tunnel, and how they ended. */
  readonly ends: string[];
  readonly links: LinkSocket[];
}

/** A TCP listener that shares its port with a service on `web`. */
async function shared(web: number, directory?: string, maxConnections?: number): Promise<Shared> {
  const lines: string[] = [];
  const ends: string[] = [];
  const links: LinkSocket[] = [];
  const rx = new PacketVector({ capacity: 16, headroom: 0, packetBytes: 2048, tailroom: 0 });
  const share = new PortShare((line) => lines.push(line), maxConnections);
  let ids = 0;
  const factory = tcpLinks({
    nextId: () => ++ids,
    maxPacketBytes: 2048,
    queuePackets: 64,
    whenFull: 'drop',
    divert: (socket, first) => share.take({ host: '127.0.0.1', port: web, directory }, socket, first),
  });
  const port = await new Promise<number>((resolve, reject) => {
    const listener = factory.listen(
      { local: { family: 4, address: '127.0.0.1', port: 0 } },
      {
        listening: (local: LinkAddress) => resolve(local[ADDRESS_PORT]),
        link: (link) => {
          links.push(link);
          link.watch({
            readable: () => {
              rx.reset();
              link.receiveBatch(rx);
            },
            writable: () => {},
            failed: (error) => {
              ends.push(error.message);
              link.close();
            },
          });
        },
        crowded: () => {},
        failed: reject,
      },
    );
    closing.push(() => {
      listener.close();
      share.close();
      for (const link of links) link.close();
    });
  });
  return { port, lines, share, ends, links };
}

function fetchText(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

describe('a shared port', () => {
  test('serves the web, and what comes from there whole', async () => {
    const page = 'x'.repeat(3_000_000);
    const web = await listening(createHttpServer((_request, response) => response.end(page)));
    const { port, ends } = await shared(web);
    expect(await fetchText(port)).toBe(page);
    expect(ends).toEqual(['Non-OpenVPN client protocol detected']);
  });

  test('lets each side end its half by itself', async () => {
    // Says how much it was told, once it was told all.
    const web = await listening(
      createServer({ allowHalfOpen: true }, (socket) => {
        let bytes = 0;
        socket.on('data', (chunk) => (bytes += chunk.length));
        socket.on('end', () => socket.end(`${bytes} bytes`));
      }),
    );
    const { port } = await shared(web);
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let answer = '';
    client.on('data', (chunk) => (answer += chunk));
    client.end(Buffer.alloc(1_000_000, 'y'));
    await once(client, 'end');
    expect(answer).toBe('1000000 bytes');
  });

  test('holds up who sends when nobody reads, and keeps little meanwhile', async () => {
    let taken: Socket | undefined;
    const web = await listening(createServer((socket) => (taken = socket.pause())));
    const { port } = await shared(web);
    const client = connect({ port, host: '127.0.0.1' });
    const chunk = Buffer.alloc(64 << 10, 'z');
    let sent = 0;
    await new Promise<void>((resolve) => {
      const pump = (): void => {
        while (sent < 64 << 20) {
          sent += chunk.length;
          if (!client.write(chunk)) {
            client.once('drain', pump);
            break;
          }
        }
      };
      pump();
      // It gets stuck: what the system holds in four socket buffers is all that goes.
      let last = -1;
      const look = setInterval(() => {
        if (client.bytesWritten === last && taken !== undefined) {
          clearInterval(look);
          resolve();
        }
        last = client.bytesWritten;
      }, 100);
    });
    expect(sent).toBeLessThan(64 << 20);
    client.destroy();
  }, 30_000);

  test('tells the service whose connection it is, for as long as that lasts', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'openvpnd-share-'));
    closing.push(() => rmSync(directory, { recursive: true, force: true }));
    let told: { name: string; content: string; mode: number }[] = [];
    let peer = 0;
    const web = await listening(
      createHttpServer((request, response) => {
        peer = request.socket.remotePort ?? 0;
        told = readdirSync(directory).map((name) => {
          const path = join(directory, name);
          return { name, content: readFileSync(path, 'utf8'), mode: statSync(path).mode & 0o777 };
        });
        response.end('ok');
      }),
    );
    const { port, lines } = await shared(web, directory);
    const origin = await new Promise<string>((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
        response.resume().on('end', () => resolve(name));
      });
      let name = '';
      request.on('socket', (socket) => socket.on('connect', () => (name = `[AF_INET]127.0.0.1:${socket.localPort}`)));
      request.on('error', reject);
    });
    expect(told).toEqual([{ name: `[AF_INET]127.0.0.1:${peer}`, content: origin, mode: 0o640 & ~process.umask() }]);
    for (let turn = 0; turn < 2000 && readdirSync(directory).length > 0; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    expect(readdirSync(directory)).toEqual([]);
    expect(lines).toEqual([]);
  });

  test('goes on when the directory is not there, and says so', async () => {
    const web = await listening(createHttpServer((_request, response) => response.end('ok')));
    const { port, lines } = await shared(web, '/nonexistent/directory');
    expect(await fetchText(port)).toBe('ok');
    expect(lines).toEqual([
      expect.stringMatching(/^PORT SHARE: unable to write journal file in \/nonexistent\/directory/),
    ]);
  });

  test('closes who asks for a service that is not there', async () => {
    const gone = createServer();
    const web = await listening(gone);
    gone.close();
    const { port, lines } = await shared(web);
    await expect(fetchText(port)).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect(lines).toEqual([expect.stringMatching(/^PORT SHARE PROXY: connect to port-share server failed/)]);
  });

  test('keeps what OpenVPN begins with, in one piece and byte by byte', async () => {
    let asked = 0;
    const web = await listening(createServer(() => (asked += 1)));
    const { port, links, ends } = await shared(web);
    const reset = framePacket(Buffer.concat([Buffer.of(0x38), Buffer.alloc(13)]));
    for (const pieces of [[reset], Array.from(reset, (_, at) => reset.subarray(at, at + 1))]) {
      const client = connect({ port, host: '127.0.0.1', noDelay: true });
      closing.push(() => client.destroy());
      await once(client.resume(), 'connect');
      for (const piece of pieces) {
        client.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.end();
      await once(client, 'close');
    }
    expect(links).toHaveLength(2);
    expect(ends).toEqual(['Connection reset, restarting [0]', 'Connection reset, restarting [0]']);
    expect(asked).toBe(0);
  });

  test('lets the oldest go when there are too many, and no other', async () => {
    const web = await listening(createServer((socket) => socket.pipe(socket)));
    const { port } = await shared(web, undefined, 2);
    const clients: Socket[] = [];
    for (let count = 0; count < 3; count += 1) {
      const client = connect({ port, host: '127.0.0.1' });
      closing.push(() => client.destroy());
      client.on('error', () => {});
      clients.push(client);
      client.write('GET / HTTP/1.1\r\n\r\n');
      await once(client, 'data');
    }
    if (!clients[0].destroyed) await once(clients[0], 'close');
    for (const client of clients.slice(1)) {
      client.write('still here');
      await once(client, 'data');
    }
  });

  test('ends what it has handed over when the server ends', async () => {
    const web = await listening(createServer((socket) => socket.write('hello')));
    const { port, share } = await shared(web);
    const client = connect({ port, host: '127.0.0.1' });
    client.on('error', () => {});
    client.write('GET / HTTP/1.1\r\n\r\n');
    await once(client, 'data');
    share.close();
    await once(client, 'close');
  });
});
