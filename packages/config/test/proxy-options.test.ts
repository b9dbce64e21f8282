import { describe, expect, test } from 'vitest';
import { type Options, parseConfigText, parsePushReply } from '../src/index.js';

const FILES = 'dev tun\nca ca.crt\ncert s.crt\nkey s.key\n';
const CLIENT = `${FILES}client\nremote vpn.example.com\n`;
const TCP = `${CLIENT}proto tcp-client\n`;
const SERVER = `${FILES}dh none\nserver 10.8.0.0 255.255.255.0\ntopology subnet\nkeepalive 10 60\n`;

function read(text: string): Options {
  const result = parseConfigText(text, 't.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(result.ok ? 'stands alone' : result.errors.join());
  return result.options;
}

function error(text: string): string {
  const result = parseConfigText(text, 't.conf');
  return result.ok ? 'accepted' : result.errors.join('\n');
}

const file = (option: string, path: string): object => expect.objectContaining({ kind: 'file', option, path });

describe('http-proxy', () => {
  test('without a login says nothing of who asks', () => {
    const [entry] = read(`${TCP}http-proxy proxy.example 3128\n`).connections;
    expect(entry.proxy).toEqual({
      kind: 'http',
      host: 'proxy.example',
      port: 3128,
      authentication: { method: 'none' },
      version: '1.0',
      userAgent: undefined,
      headers: [],
    });
    expect(entry.remote).toEqual({ host: 'vpn.example.com', port: 1194 });
    expect(read(CLIENT).connections[0].proxy).toBeUndefined();
  });

  test.each([
    ['login', { method: 'basic', credentials: file('http-proxy', 'login') }],
    ['login basic', { method: 'basic', credentials: file('http-proxy', 'login') }],
    ['login ntlm2', { method: 'ntlm2', credentials: file('http-proxy', 'login') }],
    ['login none', { method: 'none' }],
    ['auto', { method: 'auto', clearText: true, credentials: undefined }],
    ['auto-nct', { method: 'auto', clearText: false, credentials: undefined }],
  ])('%s', (words, authentication) => {
    expect(read(`${TCP}http-proxy p 3128 ${words}\n`).connections[0].proxy).toMatchObject({ authentication });
  });

  test('http-proxy-user-pass goes before the file, in a block of its own and as a file, before and behind', () => {
    const inline = '<http-proxy-user-pass>\nalice\nsecret\n</http-proxy-user-pass>\n';
    const credentials = expect.objectContaining({ kind: 'inline', text: 'alice\nsecret\n' });
    for (const text of [`http-proxy p 1 stdin basic\n${inline}`, `${inline}http-proxy p 1 other\n`])
      expect(read(TCP + text).connections[0].proxy).toMatchObject({ authentication: { method: 'basic', credentials } });
    expect(read(`${TCP}http-proxy p 1 auto\nhttp-proxy-user-pass login\n`).connections[0].proxy).toMatchObject({
      authentication: { method: 'auto', credentials: file('http-proxy-user-pass', 'login') },
    });
    const block = `${FILES}client\n<connection>\nremote a 1 tcp\nhttp-proxy p 1 auto\n</connection>\n${inline}`;
    expect(read(block).connections[0].proxy).toMatchObject({ authentication: { method: 'auto', credentials } });
  });

  test('http-proxy-option', () => {
    const words = ['VERSION 1.1', 'AGENT "a b"', 'CUSTOM-HEADER X-A b', 'CUSTOM-HEADER "X-C: d"', 'EXT1 e f'];
    const text = words.map((option) => `http-proxy-option ${option}\n`).join('');
    expect(read(`${TCP}${text}http-proxy p 1\n`).connections[0].proxy).toMatchObject({
      version: '1.1',
      userAgent: 'a b',
      headers: ['X-A: b', 'X-C: d', 'e: f'],
    });
  });

  test('each block has its own, or that of the file', () => {
    const { connections } = read(
      `${FILES}client\nhttp-proxy-option AGENT all\nhttp-proxy p 1\n<connection>\nremote a 1 tcp\n</connection>\n<connection>\nremote b 1 tcp\nhttp-proxy q 2\nhttp-proxy-option CUSTOM-HEADER only here\n</connection>\n`,
    );
    expect(connections.map(({ proxy }) => proxy)).toMatchObject([
      { host: 'p', userAgent: 'all', headers: [] },
      { host: 'q', userAgent: 'all', headers: ['only: here'] },
    ]);
  });

  test.each([
    [`${CLIENT}http-proxy p 1\n`, '--http-proxy MUST be used in TCP Client mode (i.e. --proto tcp-client)'],
    [`${SERVER}proto tcp\nhttp-proxy p 1\n`, '--http-proxy MUST be used in TCP Client mode (i.e. --proto tcp-client)'],
    [`${TCP}http-proxy p\n`, 'http-proxy port number not defined'],
    [`${TCP}http-proxy p nonsense\n`, '--http-proxy: bad port number: nonsense'],
    [`${TCP}http-proxy p 1 login foo\n`, "ERROR: unknown HTTP authentication method: 'foo'"],
    [`${TCP}http-proxy p 1 login ntlm\n`, 'NTLM version 1 is not supported: use the method ntlm2'],
    [`${TCP}http-proxy p 1 stdin\n`, '--http-proxy: the console is not asked for a user name and password'],
    [`${TCP}http-proxy-option AGENT a\n`, '--http-proxy not specified but other http proxy options present'],
    [`${TCP}http-proxy-user-pass login\n`, '--http-proxy not specified but other http proxy options present'],
    [`${TCP}http-proxy-option FOO a\n`, "Bad http-proxy-option or missing or extra parameter: 'FOO'"],
    [`${TCP}http-proxy-option VERSION\n`, "Bad http-proxy-option or missing or extra parameter: 'VERSION'"],
    [`${TCP}http-proxy-option VERSION one\n`, "Bad http-proxy-option or missing or extra parameter: 'VERSION'"],
    [`${TCP}http-proxy-option AGENT a b\n`, "Bad http-proxy-option or missing or extra parameter: 'AGENT'"],
    [
      TCP + 'http-proxy-option CUSTOM-HEADER a b\n'.repeat(11),
      "Cannot use more than 10 http-proxy-option CUSTOM-HEADER : 'CUSTOM-HEADER'",
    ],
    [`${TCP}http-proxy p 1\nsocks-proxy q\n`, '--http-proxy can not be used together with --socks-proxy'],
  ])('%j is refused', (text, message) => {
    expect(error(text)).toContain(message);
  });
});

describe('socks-proxy', () => {
  test('has a port and a login of its own, for both transports', () => {
    for (const text of [CLIENT, TCP]) {
      expect(read(`${text}socks-proxy p\n`).connections[0].proxy).toEqual({
        kind: 'socks',
        host: 'p',
        port: 1080,
        credentials: undefined,
      });
    }
    expect(read(`${CLIENT}socks-proxy 192.0.2.1 9050 login\n`).connections[0].proxy).toMatchObject({
      port: 9050,
      credentials: file('socks-proxy', 'login'),
    });
  });

  test.each([
    [`${SERVER}proto tcp\nsocks-proxy p\n`, '--socks-proxy can not be used in TCP Server mode'],
    [`${SERVER}socks-proxy p\n`, '--socks-proxy cannot be used with --mode server'],
    [`${CLIENT}socks-proxy p 70000\n`, '--socks-proxy: bad port number: 70000'],
    [`${CLIENT}socks-proxy p 1080 stdin\n`, '--socks-proxy: the console is not asked'],
  ])('%j is refused', (text, message) => {
    expect(error(text)).toContain(message);
  });
});

describe('transport', () => {
  test('is a module with its arguments, in entries and listeners', () => {
    const { connections } = read(`${TCP}transport ./ws.mjs wss://a/b "x y"\n`);
    expect(connections[0].transport).toEqual({ module: './ws.mjs', args: ['wss://a/b', 'x y'] });
    const { listeners } = read(`${SERVER}<listen>\nproto tcp\ntransport ws\n</listen>\n<listen>\nport 2\n</listen>\n`);
    expect(listeners.map(({ transport }) => transport?.module)).toEqual(['ws', undefined]);
    expect(read(`${CLIENT}setenv opt transport ws\n`).connections[0].transport).toEqual({ module: 'ws', args: [] });
  });

  test('does not go through a proxy, and is never pushed', () => {
    const both = '--transport can not be used together with --http-proxy or --socks-proxy';
    expect(error(`${TCP}transport ws\nhttp-proxy p 1\n`)).toContain(both);
    expect(error(`${CLIENT}transport ws\nsocks-proxy p\n`)).toContain(both);
    const pushed = parsePushReply(['transport ./evil.mjs'], {
      routeNopull: false,
      pullFilters: [],
      compressionStubsOnly: false,
    });
    expect(JSON.stringify(pushed)).not.toContain('"args"');
  });
});

describe('port-share', () => {
  const shares = (text: string): unknown => read(text).listeners.map(({ portShare }) => portShare);

  test('is told to the listeners', () => {
    const web = { host: 'localhost', port: 443, directory: undefined };
    expect(shares(`${SERVER}proto tcp\nport-share localhost 443\n`)).toEqual([web]);
    expect(shares(`${SERVER}proto tcp\nport-share localhost https /run/map\n`)).toEqual([
      { ...web, directory: '/run/map' },
    ]);
    expect(
      shares(
        `${SERVER}port-share localhost 443\n<listen>\nproto tcp\nport-share other 80\n</listen>\n<listen>\nproto tcp\nport 1195\n</listen>\n`,
      ),
    ).toEqual([{ ...web, host: 'other', port: 80 }, web]);
  });

  test.each([
    [`${SERVER}port-share localhost 443\n`, '--port-share only works in TCP server mode'],
    [`${TCP}port-share localhost 443\n`, '--port-share requires TCP server mode (--mode server --proto tcp-server)'],
    [`${SERVER}proto tcp\nport-share localhost nonsense\n`, '--port-share: bad port number: nonsense'],
    [
      `${SERVER}proto tcp\nport-share localhost 443\ntransport ws\n`,
      '--port-share can not be used together with --transport',
    ],
  ])('%j is refused', (text, message) => {
    expect(error(text)).toContain(message);
  });
});
