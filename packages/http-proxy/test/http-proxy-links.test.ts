import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { LinkOpening } from '@openvpnd/external-mux';
import { linkMaker } from '@openvpnd/external-mux/node';
import { HttpProxyError, type HttpProxyOptions, httpProxyLinks, type ProxyAuthentication } from '@openvpnd/http-proxy';
import { PacketVector } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { HttpProxyServer, type HttpProxySettings } from '@openvpnd/testkit/node';
import { framePacket } from '@openvpnd/wire';
import { afterEach, describe, expect, it } from 'vitest';

const ALICE = { username: 'alice', password: 'secret "word"' };
const MALLORY = { username: 'alice', password: 'guessed' };
const KNOWN = { user: ALICE.username, password: ALICE.password };

let ids = 0;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers every packet with itself, and what it has seen. */
async function echo(): Promise<{ port: number; received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = await listening(
    createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        received.push(chunk);
        socket.write(chunk);
      });
    }),
  );
  return { port: portOf(server), received };
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function proxy(settings: HttpProxySettings): Promise<{ port: number; log: string[] }> {
  const log: string[] = [];
  const server = new HttpProxyServer(settings, (line) => log.push(line));
  closing.push(() => server.close());
  return { port: await server.listen('127.0.0.1', 0), log };
}

interface Opened {
  readonly result: LinkOpening;
  readonly events: readonly string[];
}

function open(
  proxyPort: number,
  target: HttpProxyOptions['target'],
  authentication: ProxyAuthentication,
  more: Partial<HttpProxyOptions> = {},
): Promise<Opened> {
  const events: string[] = [];
  const note = (event: string, fields: object = {}): void => {
    events.push([event, ...Object.values(fields)].join(' '));
  };
  const factory = httpProxyLinks({
    target,
    authentication,
    links: linkMaker({ nextId: () => ++ids, maxPacketBytes: 2048, queuePackets: 64, whenFull: 'refuse' }),
    random: new SeededRandom(1),
    unixMs: () => 1_700_000_000_000,
    log: { error: note, warn: note, info: note, debug: note },
    ...more,
  });
  return new Promise((resolve) => {
    const attempt = factory.connect({ remote: { family: 4, address: '127.0.0.1', port: proxyPort } }, (result) => {
      // Without effect afterwards.
      queueMicrotask(() => attempt.cancel());
      if (result.ok) closing.push(() => result.link.close());
      resolve({ result, events });
    });
  });
}

/** Sends a packet and waits for what comes back. */
async function exchange(opened: LinkOpening, packet: Uint8Array): Promise<Uint8Array> {
  if (!opened.ok) throw opened.error;
  const rx = new PacketVector({ capacity: 4, headroom: 0, packetBytes: 2048, tailroom: 0 });
  return await new Promise((resolve, reject) => {
    opened.link.watch({
      readable: () => {
        opened.link.receiveBatch(rx);
        resolve(rx.packet(0).slice());
      },
      writable: () => {},
      failed: reject,
    });
    opened.link.send(packet, opened.remote);
  });
}

const WAYS: readonly { name: string; server: HttpProxySettings; client(who: typeof ALICE): ProxyAuthentication }[] = [
  { name: 'basic', server: { auth: 'basic' }, client: (credentials) => ({ method: 'basic', credentials }) },
  {
    name: 'basic, found out',
    server: { auth: 'basic' },
    client: (credentials) => ({ method: 'auto', clearText: true, credentials }),
  },
  ...(['MD5', 'MD5-sess', 'SHA-256'] as const).map((algorithm) => ({
    name: `digest ${algorithm}`,
    server: { auth: 'digest', algorithm } as const,
    client: (credentials: typeof ALICE) => ({ method: 'auto', clearText: false, credentials }) as const,
  })),
  {
    name: 'digest from a proxy that hangs up',
    server: { auth: 'digest', keepAlive: false },
    client: (credentials) => ({ method: 'auto', clearText: false, credentials }),
  },
  { name: 'ntlm2', server: { auth: 'ntlm' }, client: (credentials) => ({ method: 'ntlm2', credentials }) },
  {
    name: 'ntlm2, found out',
    server: { auth: 'ntlm' },
    client: (credentials) => ({ method: 'auto', clearText: false, credentials }),
  },
];

describe('a link through an HTTP proxy', () => {
  it('carries packets both ways', async () => {
    const server = await echo();
    const { port, log } = await proxy({ auth: 'none' });
    const { result, events } = await open(port, { host: '127.0.0.1', port: server.port }, { method: 'none' });
    expect(await exchange(result, Uint8Array.of(1, 2, 3))).toEqual(Uint8Array.of(1, 2, 3));
    expect(server.received[0]).toEqual(Buffer.from(framePacket(Uint8Array.of(1, 2, 3))));
    expect(log.slice(0, 2)).toEqual([`CONNECT 127.0.0.1:${server.port} HTTP/1.0`, 'header host: 127.0.0.1']);
    expect(events).toEqual([
      `http-proxy.connected 4 127.0.0.1 ${port}`,
      `http-proxy.sent CONNECT 127.0.0.1:${server.port} HTTP/1.0`,
      'http-proxy.sent Host: 127.0.0.1',
      'http-proxy.returned HTTP/1.1 200 Connection established',
    ]);
  });

  it('says what it is told to say', async () => {
    const server = await echo();
    const { port, log } = await proxy({ auth: 'none' });
    const { result } = await open(
      port,
      { host: '127.0.0.1', port: server.port },
      { method: 'none' },
      {
        request: { version: '1.1', userAgent: 'me/1', headers: ['X-A: b', 'Host: elsewhere'] },
      },
    );
    expect(result.ok).toBe(true);
    expect(log.slice(0, 4)).toEqual([
      `CONNECT 127.0.0.1:${server.port} HTTP/1.1`,
      'header x-a: b',
      'header host: elsewhere',
      'header user-agent: me/1',
    ]);
  });

  it.each(WAYS)('is let in by $name, and nobody else is', async ({ server, client }) => {
    const target = await echo();
    const { port } = await proxy({ ...server, ...KNOWN });
    const host = { host: '127.0.0.1', port: target.port };
    const { result, events } = await open(port, host, client(ALICE));
    expect(await exchange(result, Uint8Array.of(7))).toEqual(Uint8Array.of(7));
    expect(events.join('\n')).not.toContain('secret');
    const refused = await open(port, host, client(MALLORY));
    expect(refused.result).toMatchObject({ ok: false, error: { message: 'Proxy requires authentication' } });
    expect(target.received).toHaveLength(1);
  });

  it.each<[string, ProxyAuthentication, HttpProxySettings, string]>([
    [
      'says nothing to who asks',
      { method: 'none' },
      { auth: 'basic' },
      'HTTP proxy: no support for proxy authentication method',
    ],
    [
      'does not show the password where it must not',
      { method: 'auto', clearText: false, credentials: ALICE },
      { auth: 'basic' },
      'HTTP proxy: support for basic auth and other cleartext proxy auth methods is disabled',
    ],
    [
      'has nothing to say',
      { method: 'auto', clearText: true, credentials: undefined },
      { auth: 'digest' },
      'HTTP proxy: it asks for a user name and password: give them with --http-proxy-user-pass',
    ],
    [
      'speaks NTLM to who does not',
      { method: 'ntlm2', credentials: ALICE },
      { auth: 'basic' },
      'Proxy requires authentication',
    ],
  ])('does not come about when it %s', async (_name, authentication, settings, message) => {
    const { port } = await proxy({ ...settings, ...KNOWN });
    const { result } = await open(port, { host: '127.0.0.1', port: 1 }, authentication);
    expect(result).toEqual({ ok: false, error: expect.any(HttpProxyError) });
    expect(result).toMatchObject({ error: { message } });
  });

  it('ends where there is no server behind the proxy, and where there is no proxy', async () => {
    const gone = await listening(createServer());
    const port = portOf(gone);
    gone.close();
    const through = await proxy({ auth: 'none' });
    const { result } = await open(through.port, { host: '127.0.0.1', port }, { method: 'none' });
    expect(result).toMatchObject({ ok: false, error: { message: 'HTTP proxy returned bad status' } });
    const nobody = await open(port, { host: '127.0.0.1', port }, { method: 'none' });
    expect(nobody.result).toMatchObject({ ok: false, error: { code: 'ERR_LINK_CONNECT' } });
  });

  it.each<[string, string, string]>([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'HTTP proxy returned no HTTP response'],
    ['nothing more', 'HTTP/1.1 200 ', 'HTTP proxy closed the connection'],
    [
      'a way that is not known',
      'HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\n\r\n',
      'HTTP proxy: do not recognize the authentication method required by proxy',
    ],
    [
      'a digest without a nonce',
      'HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm="a"\r\n\r\n',
      'HTTP proxy: digest auth failed, malformed response from server: realm= or nonce= missing',
    ],
    [
      'a broken NTLM challenge',
      'HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM TlRM\r\n\r\n',
      'NTLM Proxy-Authorization phase 3 failed: received corrupted data from proxy server',
    ],
    [
      'an NTLM refusal without end',
      'HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM TlRM\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HTTP proxy: the connection cannot be used for NTLM, its refusal has no end',
    ],
  ])('survives a proxy that says %s', async (_name, answer, message) => {
    const server = await listening(
      createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer))),
    );
    const { result } = await open(
      portOf(server),
      { host: 'server.example', port: 1194 },
      { method: 'auto', clearText: true, credentials: ALICE },
    );
    expect(result).toEqual({ ok: false, error: expect.any(HttpProxyError) });
    expect(result).toMatchObject({ error: { message } });
  });

  it('survives a proxy that hangs up anywhere in what it has to say', async () => {
    const whole = 'HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 4\r\n\r\npage';
    for (let length = 0; length < whole.length; length += 3) {
      const server = await listening(
        createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(whole.slice(0, length)))),
      );
      const { result } = await open(portOf(server), { host: 'a', port: 1 }, { method: 'ntlm2', credentials: ALICE });
      expect(result).toEqual({ ok: false, error: expect.any(HttpProxyError) });
    }
  });

  it('keeps what the server said in one piece with the proxy', async () => {
    const server = await listening(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () =>
          socket.write(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), framePacket(Uint8Array.of(9, 8))])),
        );
      }),
    );
    const { result } = await open(portOf(server), { host: 'a', port: 1 }, { method: 'none' });
    expect(await exchange(result, Uint8Array.of(1))).toEqual(Uint8Array.of(9, 8));
  });

  it('writes an IPv6 address in brackets', async () => {
    const { port, log } = await proxy({ auth: 'basic', ...KNOWN });
    await open(port, { host: '2001:db8::1', port: 443 }, { method: 'none' });
    expect(log.slice(0, 2)).toEqual(['CONNECT [2001:db8::1]:443 HTTP/1.0', 'header host: [2001:db8::1]']);
  });

  it('is given up when it is cancelled', async () => {
    let overdue = (): Error | undefined => undefined;
    const asked = new Promise<Socket>((resolve) => {
      void listening(createServer((socket) => socket.once('data', () => resolve(socket)))).then((server) => {
        const factory = httpProxyLinks({
          target: { host: 'a', port: 1 },
          authentication: { method: 'none' },
          links: linkMaker({ nextId: () => ++ids, maxPacketBytes: 2048, queuePackets: 64, whenFull: 'refuse' }),
          random: new SeededRandom(1),
          unixMs: () => 0,
        });
        const remote = { family: 4, address: '127.0.0.1', port: portOf(server) } as const;
        const attempt = factory.connect({ remote }, () => {
          throw new Error('called after cancel');
        });
        overdue = () => attempt.overdue?.();
        // Not connected yet: the proxy has not been silent.
        expect(overdue()).toBeUndefined();
        closing.push(() => attempt.cancel());
      });
    });
    const socket = await asked;
    // Until then it was silent, and whoever loses patience can say so.
    expect(overdue()).toBeInstanceOf(HttpProxyError);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    closing.pop()?.();
    await ended;
  });

  it('cannot wait for peers', async () => {
    const failed = await new Promise<Error>((resolve) => {
      httpProxyLinks({
        target: { host: 'a', port: 1 },
        authentication: { method: 'none' },
        links: linkMaker({ nextId: () => ++ids, maxPacketBytes: 2048, queuePackets: 64, whenFull: 'refuse' }),
        random: new SeededRandom(1),
        unixMs: () => 0,
      }).listen({}, { listening: () => {}, link: () => {}, crowded: () => {}, failed: resolve });
    });
    expect(failed).toBeInstanceOf(HttpProxyError);
  });
});
