import { describe, expect, test } from 'vitest';
import { type Options, parseConfigText, parsePushReply } from '../src/index.js';

const FILES = 'dev tun\nca ca.crt\ncert s.crt\nkey s.key\n';
const CLIENT = `${FILES}client\nremote vpn.example.com\n`;
const SERVER = `${FILES}dh none\nserver 10.8.0.0 255.255.255.0\ntopology subnet\nkeepalive 10 60\n`;

function read(text: string): { options: Options; warnings: readonly string[] } {
  const result = parseConfigText(text, 't.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(result.ok ? 'stands alone' : result.errors.join());
  return { options: result.options, warnings: result.warnings };
}

function error(text: string): string {
  const result = parseConfigText(text, 't.conf');
  return result.ok ? 'accepted' : result.errors.join('\n');
}

describe('proto tcp', () => {
  test.each([
    ['tcp', undefined],
    ['tcp4', 4],
    ['tcp6', 6],
    ['tcp-client', undefined],
    ['tcp4-client', 4],
    ['tcp6-client', 6],
  ])('%s at a client is its side', (name, family) => {
    const [entry] = read(`${CLIENT}proto ${name}\n`).options.connections;
    expect(entry.protocol).toEqual({ transport: 'tcp', side: 'client', family });
    expect(entry.bind).toBe(false);
  });

  test.each([
    ['tcp', undefined],
    ['tcp4', 4],
    ['tcp6', 6],
    ['tcp-server', undefined],
    ['tcp4-server', 4],
    ['tcp6-server', 6],
  ])('%s at a server is its side', (name, family) => {
    const [entry] = read(`${SERVER}proto ${name}\n`).options.connections;
    expect(entry.protocol).toEqual({ transport: 'tcp', side: 'server', family });
    expect(entry.bind).toBe(true);
  });

  test('a remote has its own', () => {
    const { connections } = read(`${FILES}client\nremote a 443 tcp\nremote b 1194 udp\n`).options;
    expect(connections.map(({ protocol }) => protocol.transport)).toEqual(['tcp', 'udp']);
  });

  test('the wrong side is refused in OpenVPN words', () => {
    expect(error(`${SERVER}proto tcp-client\n`)).toContain(
      '--mode server currently only supports --proto values of udp',
    );
    expect(error(`${FILES}tls-client\nproto tcp-client\n`)).toContain('--remote MUST be used in TCP Client mode');
    expect(error(`${FILES}tls-client\nremote x\nproto tcp\n`)).toContain('--proto tcp is ambiguous in this context');
    expect(error(`${CLIENT}proto tcp-server\n`)).toContain(
      '--client and --pull cannot be used with --proto tcp-server',
    );
    expect(error(`${FILES}tls-server\ndh none\nremote x\nproto tcp-server\nnobind\n`)).toContain(
      '--nobind cannot be used with --proto tcp-server',
    );
  });
});

describe('point to point', () => {
  const PEER = `${FILES}tls-server\ndh none\n`;

  test('tcp-server waits, with or without a remote', () => {
    for (const extra of ['', 'remote x\n']) {
      const [entry] = read(`${PEER}proto tcp4-server\n${extra}`).options.connections;
      expect(entry.protocol).toEqual({ transport: 'tcp', side: 'server', family: 4 });
      expect(entry.bind).toBe(true);
      expect(entry.remote?.host).toBe(extra === '' ? undefined : 'x');
    }
  });

  test.each([
    ['udp-server', undefined],
    ['udp4-server', 4],
    ['udp6-server', 6],
  ])('%s waits at its port', (name, family) => {
    const [entry] = read(`${PEER}proto ${name}\n`).options.connections;
    expect(entry.protocol).toEqual({ transport: 'udp', side: 'server', family });
    expect([entry.bind, entry.localPort, entry.remote]).toEqual([true, 1194, undefined]);
    expect(error(`${PEER}proto ${name}\nremote x\n`)).toContain('--remote cannot be used with --proto udp-server');
    expect(error(`${PEER}proto ${name}\nnobind\n`)).toContain('--nobind cannot be used with --proto udp-server');
    expect(error(`${CLIENT}proto ${name}\n`)).toContain('--client and --pull cannot be used with --proto udp-server');
    expect(read(`${SERVER}proto ${name}\n`).options.connections[0].protocol.transport).toBe('udp');
  });

  test.each([
    ['udp-client', undefined],
    ['udp4-client', 4],
    ['udp6-client', 6],
  ])('%s goes to its peer from any port', (name, family) => {
    const [entry] = read(`${PEER}proto ${name}\nremote x\n`).options.connections;
    expect(entry.protocol).toEqual({ transport: 'udp', side: 'client', family });
    expect(entry.bind).toBe(false);
    expect(read(`${PEER}proto ${name}\nremote x\nlport 5000\n`).options.connections[0].bind).toBe(true);
    expect(error(`${PEER}proto ${name}\n`)).toContain('--remote MUST be used in UDP Client mode');
    expect(error(`${SERVER}proto ${name}\n`)).toContain('--mode server currently only supports --proto values');
  });

  test('a bare udp binds, waits or goes, as it is told', () => {
    expect(read(`${PEER}proto udp\n`).options.connections[0]).toMatchObject({ bind: true, remote: undefined });
    expect(read(`${PEER}proto udp\nremote x\n`).options.connections[0].bind).toBe(true);
    expect(error(`${PEER}nobind\n`)).toContain("--nobind doesn't make sense unless used with --remote");
  });
});

describe('options of streams', () => {
  test('explicit-exit-notify is for UDP: a notice, once, and it is off', () => {
    const { options, warnings } = read(
      `${FILES}client\nremote a 443 tcp\nremote b 443 tcp\nremote c 1194 udp\nexplicit-exit-notify 2\n`,
    );
    expect(options.connections.map(({ exitNotify }) => exitNotify)).toEqual([0, 0, 2]);
    expect(warnings.filter((line) => line === 'NOTICE: --explicit-exit-notify ignored for --proto tcp')).toHaveLength(
      1,
    );
    expect(read(`${CLIENT}explicit-exit-notify\n`).warnings.join()).not.toContain('explicit-exit-notify');
  });

  test('tcp-nodelay of a server is pushed, of a client it is warned of', () => {
    const server = read(`${SERVER}proto tcp\ntcp-nodelay\n`).options;
    expect(server.listeners[0].socket.noDelay).toBe(true);
    expect(server.server?.push).toContain('socket-flags TCP_NODELAY');
    const client = read(`${CLIENT}proto tcp\ntcp-nodelay\n`);
    expect(client.options.connections[0].socket.noDelay).toBe(true);
    expect(client.warnings.join()).toContain('WARNING: setting tcp-nodelay on the client side');
  });

  test('socket-flags, here and pushed; an unknown one is no error', () => {
    expect(read(`${CLIENT}socket-flags TCP_NODELAY\n`).options.connections[0].socket.noDelay).toBe(true);
    const odd = read(`${CLIENT}socket-flags TCP_CORK\n`);
    expect(odd.options.connections[0].socket.noDelay).toBe(false);
    expect(odd.warnings.join()).toContain('unknown socket flag: TCP_CORK');
    const policy = { routeNopull: false, pullFilters: [], compressionStubsOnly: true };
    for (const [pushed, flag] of [
      [['socket-flags TCP_NODELAY'], true],
      [[], false],
    ] as const) {
      const result = parsePushReply(pushed, policy);
      expect(result.ok && result.pulled.tcpNoDelay).toBe(flag);
    }
  });

  test('tcp-queue-limit is 64 unless told otherwise, and never none', () => {
    expect(read(SERVER).options.link.tcpQueueLimit).toBe(64);
    expect(read(`${SERVER}tcp-queue-limit 256\n`).options.link.tcpQueueLimit).toBe(256);
    expect(error(`${SERVER}tcp-queue-limit 0\n`)).toContain('tcp-queue-limit');
  });
});
