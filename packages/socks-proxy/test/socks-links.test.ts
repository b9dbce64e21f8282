import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { LinkFactory, LinkOpening } from '@openvpnd/external-mux';
import { datagramLinks, linkMaker, openUdpLink } from '@openvpnd/external-mux/node';
import { PacketVector } from '@openvpnd/memory';
import { SocksProxyError, type SocksProxyOptions, socksDatagramLinks, socksLinks } from '@openvpnd/socks-proxy';
import { SocksProxyServer, type SocksProxySettings } from '@openvpnd/testkit/node';
import { afterEach, describe, expect, it } from 'vitest';

const ALICE = { username: 'alice', password: 'secret' };
const MALLORY = { username: 'alice', password: 'guessed' };
const KNOWN = { user: ALICE.username, password: ALICE.password };
type Target = SocksProxyOptions['target'];

let ids = 0;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function streamEcho(): Promise<number> {
  return listening(createServer((socket) => socket.on('error', () => {}).pipe(socket)));
}

async function datagramEcho(): Promise<number> {
  const socket = createSocket({ type: 'udp6' });
  socket.on('message', (packet, from) => socket.send(packet, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, '::', resolve));
  closing.push(() => socket.close());
  return socket.address().port;
}

async function proxy(
  settings: SocksProxySettings = {},
): Promise<{ port: number; log: string[]; server: SocksProxyServer }> {
  const log: string[] = [];
  const server = new SocksProxyServer(
    { names: { 'vpn.example': '127.0.0.1', 'six.example': '::1' }, ...settings },
    (line) => log.push(line),
  );
  closing.push(() => server.close());
  return { port: await server.listen('::', 0), log, server };
}

function factory(kind: 'tcp' | 'udp', target: Target, credentials?: typeof ALICE): LinkFactory {
  const nextId = (): number => ++ids;
  const options: SocksProxyOptions = {
    target,
    timeoutMs: 20_000,
    links: linkMaker({ nextId, maxPacketBytes: 2048, queuePackets: 64, whenFull: 'refuse' }),
    ...(credentials === undefined ? {} : { credentials }),
  };
  return kind === 'tcp'
    ? socksLinks(options)
    : socksDatagramLinks({ ...options, datagrams: datagramLinks({ nextId, open: openUdpLink }), maxPacketBytes: 2048 });
}

function open(links: LinkFactory, port: number, family: 4 | 6 = 4): Promise<LinkOpening> {
  return new Promise((resolve) => {
    const attempt = links.connect(
      { remote: { family, address: family === 4 ? '127.0.0.1' : '::1', port } },
      (result) => {
        // Without effect afterwards.
        queueMicrotask(() => attempt.cancel());
        if (result.ok) closing.push(() => result.link.close());
        resolve(result);
      },
    );
  });
}

/** Sends packets and gives what comes back, until as many have come. */
async function exchange(opened: LinkOpening, packets: readonly Uint8Array[]): Promise<Uint8Array[]> {
  if (!opened.ok) throw opened.error;
  const { link, remote } = opened;
  const rx = new PacketVector({ capacity: 16, headroom: 0, packetBytes: 2048, tailroom: 0 });
  const received: Uint8Array[] = [];
  return await new Promise((resolve, reject) => {
    link.watch({
      readable: () => {
        rx.reset();
        link.receiveBatch(rx);
        for (let row = 0; row < rx.count; row += 1) {
          received.push(rx.packet(row).slice());
          expect(rx.addresses.slice(row * remote.length, (row + 1) * remote.length)).toEqual(remote);
        }
        if (received.length >= packets.length) resolve(received);
      },
      writable: () => {},
      failed: reject,
    });
    for (const packet of packets) link.send(packet, remote);
  });
}

const PACKETS = [Uint8Array.of(1), Uint8Array.of(2, 2), new Uint8Array(1400).fill(3)];

for (const kind of ['tcp', 'udp'] as const) {
  const echo = kind === 'tcp' ? streamEcho : datagramEcho;

  describe(`a ${kind} link through a SOCKS proxy`, () => {
    it.each([
      ['an IPv4 address', '127.0.0.1', 4],
      ['an IPv6 address', '::1', 4],
      ['a name', 'vpn.example', 4],
      ['a name of the other family', 'six.example', 4],
      ['an IPv4 address, by a proxy on IPv6', '127.0.0.1', 6],
    ] as const)('reaches %s', async (_name, host, family) => {
      const port = await echo();
      const through = await proxy();
      const opened = await open(factory(kind, { host, port }), through.port, family);
      expect(await exchange(opened, PACKETS)).toEqual(PACKETS);
      const type = host === '::1' ? 4 : host === '127.0.0.1' ? 1 : 3;
      expect(through.log.join('\n')).toMatch(new RegExp(`type ${type} `));
    });

    it('is let in by name and password, and nobody else is', async () => {
      const port = await echo();
      const through = await proxy(KNOWN);
      const target = { host: '127.0.0.1', port };
      expect(await exchange(await open(factory(kind, target, ALICE), through.port), PACKETS)).toEqual(PACKETS);
      const wrong = await open(factory(kind, target, MALLORY), through.port);
      expect(wrong).toEqual({ ok: false, error: expect.any(SocksProxyError) });
      expect(wrong).toMatchObject({
        error: { message: 'socks_username_password_auth: server refused the authentication' },
      });
      const nobody = await open(factory(kind, target), through.port);
      expect(nobody).toMatchObject({
        ok: false,
        error: { message: expect.stringMatching(/^socks_handshake: Socks proxy returned unexpected auth/) },
      });
    });

    it.each<[string, number[]]>([
      ['nothing', []],
      ['another version', [4, 0]],
      ['an unknown method', [5, 9]],
      ['half a greeting', [5]],
      ['a refusal', [5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0]],
      ['half a reply', [5, 0, 5, 0, 0, 1, 0]],
      ['half a name', [5, 0, 5, 0, 0, 3, 255, 1]],
    ])('survives a proxy that says %s and hangs up', async (_name, bytes) => {
      const port = await listening(createServer((socket) => socket.on('error', () => {}).end(Buffer.from(bytes))));
      const result = await open(factory(kind, { host: '127.0.0.1', port: 1 }), port);
      expect(result).toEqual({ ok: false, error: expect.any(SocksProxyError) });
    });

    it('survives a proxy that hangs up anywhere in what it has to say', async () => {
      const whole = [5, 2, 1, 0, 5, 0, 0, 3, 3, 97, 98, 99, 0, 80];
      for (let length = 0; length < whole.length; length += 1) {
        const port = await listening(
          createServer((socket) => socket.on('error', () => {}).end(Buffer.from(whole.slice(0, length)))),
        );
        const result = await open(factory(kind, { host: '127.0.0.1', port: 1 }, ALICE), port);
        expect(result).toEqual({ ok: false, error: expect.any(SocksProxyError) });
      }
    });

    it('does not ask for what SOCKS cannot say', async () => {
      const { port, log } = await proxy();
      for (const host of ['x'.repeat(256), 'vpn.exämple'])
        expect(await open(factory(kind, { host, port: 1 }), port)).toMatchObject({ ok: false });
      const long = { username: 'a', password: 'b'.repeat(256) };
      expect(await open(factory(kind, { host: 'a', port: 1 }, long), port)).toMatchObject({
        ok: false,
        error: { message: /exceeds 255/ },
      });
      expect(log).toEqual([]);
    });

    it('is given up when it is cancelled', async () => {
      let greeted: () => void = () => {};
      const greeting = new Promise<void>((resolve) => {
        greeted = resolve;
      });
      let gone: () => void = () => {};
      const closed = new Promise<void>((resolve) => {
        gone = resolve;
      });
      const port = await listening(
        createServer((socket) =>
          socket
            .on('error', () => {})
            .on('close', gone)
            .once('data', greeted)
            .resume(),
        ),
      );
      const attempt = factory(kind, { host: 'a', port: 1 }).connect(
        { remote: { family: 4, address: '127.0.0.1', port } },
        () => {
          throw new Error('called after cancel');
        },
      );
      await greeting;
      attempt.cancel();
      await closed;
    });

    it('cannot wait for peers', async () => {
      const failed = await new Promise<Error>((resolve) => {
        factory(kind, { host: 'a', port: 1 }).listen(
          {},
          { listening: () => {}, link: () => {}, crowded: () => {}, failed: resolve },
        );
      });
      expect(failed.message).toBe('--socks-proxy can not be used in TCP Server mode');
    });
  });
}

for (const kind of ['tcp', 'udp'] as const) {
  it(`a silent proxy is told apart from one that cannot be reached: ${kind}`, async () => {
    const asked = new Promise<void>((resolve) => {
      const server = createServer((socket) => socket.once('data', () => resolve()));
      void listening(server).then((port) => {
        const attempt = factory(kind, { host: 'a', port: 1 }).connect(
          { remote: { family: 4, address: '127.0.0.1', port } },
          () => {
            throw new Error('called after cancel');
          },
        );
        expect(attempt.overdue?.()).toBeUndefined();
        closing.push(() => {
          expect(attempt.overdue?.()).toBeInstanceOf(SocksProxyError);
          attempt.cancel();
        });
      });
    });
    await asked;
    closing.pop()?.();
  });
}

describe('an association', () => {
  it('drops fragments, strangers and what is cut short', async () => {
    const port = await datagramEcho();
    const through = await proxy({ disturb: true });
    const opened = await open(factory('udp', { host: '127.0.0.1', port }), through.port);
    expect(await exchange(opened, PACKETS)).toEqual(PACKETS);
  });

  it('is asked for in the family of the proxy', async () => {
    const through = await proxy();
    for (const family of [4, 6] as const)
      await open(factory('udp', { host: '127.0.0.1', port: 1 }), through.port, family);
    expect(through.log).toEqual([
      'command 3 type 1 0.0.0.0:0',
      'command 3 type 4 0000:0000:0000:0000:0000:0000:0000:0000:0',
    ]);
  });

  it('goes to the proxy itself where that tells no address', async () => {
    const port = await datagramEcho();
    const through = await proxy({ unspecified: true });
    const opened = await open(factory('udp', { host: '127.0.0.1', port }), through.port);
    expect(await exchange(opened, PACKETS)).toEqual(PACKETS);
  });

  it('ends with the connection to the proxy', async () => {
    const port = await datagramEcho();
    const through = await proxy();
    const opened = await open(factory('udp', { host: '127.0.0.1', port }), through.port);
    await exchange(opened, PACKETS);
    if (!opened.ok) throw opened.error;
    const failed = new Promise<Error>((resolve) =>
      opened.link.watch({ readable: () => {}, writable: () => {}, failed: resolve }),
    );
    through.server.endAll();
    expect((await failed).message).toBe('Connection reset, restarting [0]');
  });

  it('ends at the proxy when the link is closed', async () => {
    const port = await datagramEcho();
    const log: string[] = [];
    const over = new Promise<void>((resolve) => {
      const server = new SocksProxyServer({}, (line) => {
        log.push(line);
        if (line === 'association over') resolve();
      });
      closing.push(() => server.close());
      void server.listen('::', 0).then(async (proxyPort) => {
        const opened = await open(factory('udp', { host: '127.0.0.1', port }), proxyPort);
        await exchange(opened, PACKETS);
        if (opened.ok) opened.link.close();
      });
    });
    await over;
  });
});
