import { describe, expect, test } from 'vitest';
import { type ConnectionEntry, type Options, parseConfigText } from '../src/index.js';

const FILES = 'dev tun\nca ca.crt\ncert s.crt\nkey s.key\n';
const CLIENT = `${FILES}client\n`;
const PEER = `${FILES}tls-client\n`;
const SERVER = `${FILES}dh none\nserver 10.8.0.0 255.255.255.0\nkeepalive 10 60\n`;

function read(text: string): Options {
  const result = parseConfigText(text, 't.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(result.ok ? 'stands alone' : result.errors.join());
  return result.options;
}

function first(text: string): ConnectionEntry {
  return read(text).connections[0];
}

function error(text: string): string {
  const result = parseConfigText(text, 't.conf');
  return result.ok ? 'accepted' : result.errors.join('\n');
}

describe('seed: "Remove udp6, add --ipv4 and --ipv6 options to force a protocol"', () => {
  test.each([
    ['ipv4', 4],
    ['ipv6', 6],
  ])('%s is the family of every socket', (option, family) => {
    expect(first(`${CLIENT}remote a\n${option}\n`).protocol.family).toBe(family);
    expect(first(`${CLIENT}remote a\nproto tcp\n${option}\n`).protocol).toEqual({
      transport: 'tcp',
      side: 'client',
      family,
    });
    expect(
      read(`${CLIENT}remote a\nremote b 443 tcp\n${option}\n`).connections.map((one) => one.protocol.family),
    ).toEqual([family, family]);
    expect(
      read(`${SERVER}local * 1194 udp\nlocal * 443 tcp\n${option}\n`).listeners.map((one) => one.protocol.family),
    ).toEqual([family, family]);
    // The same is said twice: nothing wrong.
    expect(first(`${CLIENT}remote a\nproto udp${family}\n${option}\n`).protocol.family).toBe(family);
  });

  test.each([
    ['ipv4\nipv6', '--ipv4 and --ipv6 are mutually exclusive'],
    ['ipv4\nproto udp6', "--ipv4 conflicts with 'proto udp6'"],
    ['ipv6\nproto tcp4', "--ipv6 conflicts with 'proto tcp4'"],
    ['ipv4\nremote 2001:db8::1', "--ipv4 conflicts with 'remote 2001:db8::1'"],
    ['ipv6\nremote 192.0.2.1', "--ipv6 conflicts with 'remote 192.0.2.1'"],
    ['ipv4\nremote b 443 tcp6', "--ipv4 conflicts with 'remote b 443 tcp6'"],
    ['ipv4\nlocal ::1', "--ipv4 conflicts with 'local ::1'"],
    ['ipv6\n<connection>\nremote 192.0.2.1\n</connection>', "--ipv6 conflicts with 'remote 192.0.2.1'"],
    ['ipv6\n<connection>\nremote a\nproto udp4\n</connection>', "--ipv6 conflicts with 'proto udp4'"],
  ])('%j is refused', (lines, words) => {
    expect(error(`${CLIENT}remote a\n${lines}\n`)).toBe(`Options error: ${words}`);
  });

  test('at a server too', () => {
    expect(error(`${SERVER}ipv4\nlocal * 1194 udp6\n`)).toContain('--ipv4 conflicts with');
    expect(error(`${SERVER}ipv6\n<listen>\nlocal 192.0.2.1\n</listen>\n`)).toBe(
      "Options error: --ipv6 conflicts with 'local 192.0.2.1'",
    );
  });

  test('udp4 and udp6 stay, for those who have them in their files', () => {
    expect(first(`${CLIENT}remote a\nproto udp4\n`).protocol.family).toBe(4);
    expect(first(`${CLIENT}remote a\nproto udp6\n`).protocol.family).toBe(6);
    expect(first(`${CLIENT}remote a\nproto udp\n`).protocol.family).toBeUndefined();
  });

  test('it is for files, and takes nothing', () => {
    expect(error(`${CLIENT}remote a\nipv4 yes\n`)).toContain('ipv4');
    expect(error(`${CLIENT}remote a\n<connection>\nremote a\nipv4\n</connection>\n`)).toContain(
      'cannot be used in this context',
    );
  });
});

describe('connect-race', () => {
  test.each([
    ['', 2000],
    ['proto tcp\n', 250],
    ['connect-race 700\n', 700],
    ['proto tcp\nconnect-race 700\n', 700],
    ['connect-race off\n', undefined],
    ['proto udp6\n', undefined],
    ['proto tcp4\n', undefined],
    ['ipv4\n', undefined],
    ['persist-remote-ip\n', undefined],
    ['bind\n', undefined],
    ['lport 5000\n', undefined],
    ['local 192.0.2.1\n', undefined],
  ])('%j', (lines, expected) => {
    expect(first(`${CLIENT}remote a\n${lines}`).raceDelayMs).toBe(expected);
  });

  test('is for one connection or for all', () => {
    const { connections } = read(
      `${CLIENT}connect-race 300\n<connection>\nremote a\n</connection>\n<connection>\nremote b\nconnect-race off\n</connection>\n`,
    );
    expect(connections.map(({ raceDelayMs }) => raceDelayMs)).toEqual([300, undefined]);
  });

  test('two points on UDP have a socket of each family by nature', () => {
    expect(first(`${PEER}remote a\n`)).toMatchObject({ bind: true, raceDelayMs: 2000 });
    expect(first(`${PEER}remote a\nproto udp4\n`).raceDelayMs).toBeUndefined();
    expect(first(`${PEER}remote a\nproto tcp-client\nlport 5000\n`).raceDelayMs).toBeUndefined();
  });

  test.each(['0', '-1', 'on', '60001', '2s'])('%s is refused', (value) => {
    expect(error(`${CLIENT}remote a\nconnect-race ${value}\n`)).toContain('a number between 1 and 60000, or off');
  });
});

describe('seed: "Bind mode with --mode client: default to --nobind"', () => {
  test('a client binds only when it is told to', () => {
    expect(first(`${CLIENT}remote a\n`).bind).toBe(false);
    for (const asked of ['bind', 'lport 5000', 'local 192.0.2.1']) {
      expect(first(`${CLIENT}remote a\n${asked}\n`).bind).toBe(true);
    }
    expect(first(`${CLIENT}remote a\nport 5000\n`)).toMatchObject({ bind: false, remote: { port: 5000 } });
    expect(first(`${CLIENT}remote a\nrport 5000\n`)).toMatchObject({ bind: false, remote: { port: 5000 } });
    expect(first(`${PEER}remote a\n`).bind).toBe(true);
  });

  test.each([
    ['bind\nnobind', "--bind and --nobind can't be used together"],
    ['lport 5000\nnobind', "--lport and --nobind don't make sense when used together"],
    ['local 192.0.2.1\nnobind', "--local and --nobind don't make sense when used together"],
  ])('%j is refused in OpenVPN words', (lines, words) => {
    expect(error(`${CLIENT}remote a\n${lines}\n`)).toBe(`Options error: ${words}`);
  });

  test('who waits has to bind', () => {
    expect(error(`${PEER}nobind\n`)).toBe("Options error: --nobind doesn't make sense unless used with --remote");
  });
});

describe('remotes', () => {
  test('proto-force keeps those of one transport, whatever family it names', () => {
    const remotes = 'remote a 1 udp\nremote b 2 tcp\nremote c 3 udp6\n';
    const hosts = (force: string) =>
      read(`${CLIENT}${remotes}proto-force ${force}\n`).connections.map((one) => one.remote?.host);
    expect(hosts('udp')).toEqual(['a', 'c']);
    expect(hosts('tcp')).toEqual(['b']);
    expect(hosts('tcp6-client')).toEqual(['b']);
    expect(error(`${CLIENT}remote a\nproto-force tcp\n`)).toContain('No usable connection profiles are present');
    expect(error(`${CLIENT}remote a\nproto-force x\n`)).toContain("Bad --proto-force protocol: 'x'");
  });

  test.each(['remote-random-hostname', 'persist-local-ip', 'persist-remote-ip', 'remote-random'])('%s', (option) => {
    const name = option.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof Options['link'];
    expect(read(`${CLIENT}remote a\n`).link[name]).toBe(false);
    expect(read(`${CLIENT}remote a\n${option}\n`).link[name]).toBe(true);
    expect(error(`${CLIENT}remote a\n${option} x\n`)).toContain(option);
  });

  test('single-session and allow-recursive-routing', () => {
    expect(read(`${CLIENT}remote a\n`)).toMatchObject({
      tls: { singleSession: false },
      routes: { allowRecursive: false },
    });
    expect(read(`${CLIENT}remote a\nsingle-session\nallow-recursive-routing\n`)).toMatchObject({
      tls: { singleSession: true },
      routes: { allowRecursive: true },
    });
    expect(error(`${CLIENT}remote a\nsingle-session 1\n`)).toContain('single-session');
  });

  test('bind-policy and listen-backlog are for servers', () => {
    expect(error(`${CLIENT}remote a\nbind-policy all\n`)).toContain('--bind-policy requires --mode server');
    expect(error(`${CLIENT}remote a\nlisten-backlog 5\n`)).toContain('--listen-backlog requires --mode server');
  });
});
