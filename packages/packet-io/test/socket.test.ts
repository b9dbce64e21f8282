import './native-build.js';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describeLinkFactory } from '@openvpnd/external-mux/conformance';
import { tcpLinks } from '@openvpnd/external-mux/node';
import { afterEach, describe, expect, it } from 'vitest';
import { openTcpSocket, PacketIoError, type SocketOptions } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';

const IPV4 = { family: 4, address: '127.0.0.1', port: 0 } as const;
const IPV6 = { family: 6, address: '::1', port: 0 } as const;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let ids = 0;
for (const host of [IPV4, IPV6]) {
  describeLinkFactory(`TCP on native sockets, IPv${host.family}`, () => ({
    factory: tcpLinks({
      nextId: () => ++ids,
      maxPacketBytes: 2048,
      queuePackets: 64,
      whenFull: 'drop',
      openSocket: ({ family, local, ipv6Only }) =>
        openTcpSocket({ family, ipv6Only, receiveBufferBytes: 100_000, ...(local === undefined ? {} : { local }) }),
    }),
    host,
    turn,
  }));
}

describe('a TCP socket with settings', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });

  async function listen(
    options: Partial<SocketOptions>,
  ): Promise<{ readonly address: AddressInfo; readonly accepted: Promise<Socket> }> {
    const server = createServer();
    open.push(server);
    const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
    server.listen({ fd: openTcpSocket({ family: 4, local: IPV4, ...options }) });
    await once(server, 'listening');
    return { address: server.address() as AddressInfo, accepted };
  }

  it('hands them on to the connections that it accepts', async () => {
    const { address, accepted } = await listen({
      receiveBufferBytes: 50_000,
      sendBufferBytes: 60_000,
      mtuDiscovery: 'no',
    });
    const client = netConnect(address.port, address.address);
    open.push({ close: () => client.destroy() });
    const socket = await accepted;
    open.push({ close: () => socket.destroy() });
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    const addon = nativeAddon();
    expect([addon.socketBuffer(fd, false, 0, false), addon.socketBuffer(fd, true, 0, false)]).toEqual([
      100_000, 120_000,
    ]);
  });

  it('of IPv6 takes IPv4 too, or not', async () => {
    const local = { family: 6, address: '::', port: 0 } as const;
    const both = await listen({ family: 6, local });
    const client = netConnect(both.address.port, '127.0.0.1');
    open.push({ close: () => client.destroy() });
    open.push(await both.accepted.then((socket) => ({ close: () => socket.destroy() })));
    const one = await listen({ family: 6, local, ipv6Only: true });
    const refused = netConnect(one.address.port, '127.0.0.1');
    const [error] = await once(refused, 'error');
    expect((error as NodeJS.ErrnoException).code).toBe('ECONNREFUSED');
  });

  it("says in OpenVPN's words what the system refuses, and leaves nothing open", async () => {
    const { address } = await listen({});
    const taken = (): unknown => openTcpSocket({ family: 4, local: { ...IPV4, port: address.port } });
    expect(taken).toThrow(PacketIoError);
    expect(taken).toThrow(
      `TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:${address.port}: Address already in use (errno=98)`,
    );
    expect(() => openTcpSocket({ family: 4, bindDevice: 'no-such-device0' })).toThrow(
      /SO_BINDTODEVICE=no-such-device0 failed: /,
    );
    const next = nativeAddon().socketOpen(true, 4, false);
    nativeAddon().socketClose(next);
    expect(taken).toThrow();
    const again = nativeAddon().socketOpen(true, 4, false);
    nativeAddon().socketClose(again);
    expect(again).toBe(next);
  });
});

describe('sockets that systemd passes', () => {
  const script = `
    const { takePassedSockets, duplicateSocket } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
    try {
      const sockets = takePassedSockets(process.env);
      console.log(JSON.stringify({ sockets, left: Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')) }));
      if (sockets.length > 0) console.log(duplicateSocket(sockets[0].fd) > sockets[0].fd);
    } catch (error) {
      console.log(error.code, error.message);
    }`;

  /** What a process says that gets these descriptors as 3, 4 … */
  function tell(descriptors: readonly number[], environment: string): string {
    const command = `${environment} exec "${process.execPath}" --input-type=module -e "$SCRIPT"`;
    const child = spawnSync('sh', ['-c', command], {
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
      env: { PATH: process.env.PATH, SCRIPT: script },
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    });
    return child.stdout + child.stderr;
  }

  it.each(['abc', '-1', '999999999', ''])('are refused when their number is %j', (count) => {
    expect(tell([], `LISTEN_PID=$$ LISTEN_FDS=${count}`)).toMatch(/LISTEN_FDS: ".*" is no number of sockets/);
    // Meant for another process.
    expect(tell([], `LISTEN_PID=1 LISTEN_FDS=${count}`)).toMatch(/"sockets":\[\]/);
  });

  it('are told with name, transport and address; nobody else sees the variables', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const datagram = createSocket('udp6');
    datagram.bind(0, '::1');
    await once(datagram, 'listening');
    const fdOf = (socket: unknown): number => (socket as { _handle: { fd: number } })._handle.fd;
    const { handle } = (datagram as unknown as Record<symbol, { handle: { fd: number } }>)[
      Object.getOwnPropertySymbols(datagram).find((symbol) => symbol.description === 'state symbol') as symbol
    ];
    try {
      const told = tell([fdOf(server), handle.fd], 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:vpn');
      const port = (server.address() as AddressInfo).port;
      expect(told.split('\n').slice(0, 2)).toEqual([
        JSON.stringify({
          sockets: [
            { fd: 3, name: 'web', protocol: 'tcp', local: { family: 4, address: '127.0.0.1', port, scope: 0 } },
            {
              fd: 4,
              name: 'vpn',
              protocol: 'udp',
              local: { family: 6, address: '::1', port: datagram.address().port, scope: 0 },
            },
          ],
          left: [],
        }),
        'true',
      ]);
      expect(tell([fdOf(server)], 'LISTEN_PID=1 LISTEN_FDS=1')).toContain('{"sockets":[],"left":[]}');
      expect(tell([fdOf(server)], '')).toContain('{"sockets":[],"left":[]}');
      expect(tell([fdOf(server)], 'LISTEN_PID=$$ LISTEN_FDS=2')).toContain(
        'ERR_PASSED_SOCKET LISTEN_FDS: descriptor 4 is no Internet socket',
      );
    } finally {
      server.close();
      datagram.close();
    }
    const client = createServer();
    client.close();
    const unbound = nativeAddon().socketOpen(true, 4, false);
    expect(tell([unbound], 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x')).toContain(
      'ERR_PASSED_SOCKET LISTEN_FDS: descriptor 3 (x) does not listen; pass bound UDP sockets',
    );
    nativeAddon().socketClose(unbound);
  });
});
