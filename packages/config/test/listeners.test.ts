import { describe, expect, test } from 'vitest';
import { type Listener, parseConfigText } from '../src/index.js';

const FILES = 'dev tun\nca ca\ncert cert\nkey key\n';
const SERVER = `${FILES}dh none\nserver 10.8.0.0 255.255.255.0\nkeepalive 10 60\n`;
const CLIENT = `${FILES}client\nremote vpn.example.com\n`;

function parse(text: string) {
  return parseConfigText(text, 'server.conf');
}

function listeners(text: string): readonly Listener[] {
  const result = parse(SERVER + text);
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error('no configuration');
  return result.options.listeners;
}

function error(text: string): string {
  const result = parse(text);
  if (result.ok) throw new Error('it is fine');
  return result.errors.join('\n');
}

function where({ protocol: { transport, family, side }, localHost, localPort }: Listener): unknown[] {
  return [`${transport}${family ?? ''}${side === 'unspecified' ? '' : `-${side}`}`, localHost, localPort];
}

describe('where a server listens', () => {
  test('with neither local nor <listen> at one place, from proto and port, on all addresses of both families', () => {
    expect(listeners('').map(where)).toEqual([['udp', undefined, 1194]]);
    expect(listeners('')[0]).toMatchObject({ implied: true, tag: undefined, bindPolicy: 'any', backlog: 512 });
    expect(listeners('proto tcp6\nport 443\n').map(where)).toEqual([['tcp6-server', undefined, 443]]);
  });

  test('seed: "Listening on multiple sockets is needed for dual stack anyway. So simultaneous udp/tcp is possible too": repeated local', () => {
    const text = 'local * 443 tcp\nlocal 192.0.2.1\nlocal 2001:db8::1 5000\nlocal *\nport 1195\nproto udp4\n';
    expect(listeners(`${text.replace('2001:db8::1 5000', '2001:db8::1 5000 udp6')}`).map(where)).toEqual([
      ['tcp-server', undefined, 443],
      ['udp4', '192.0.2.1', 1195],
      ['udp6', '2001:db8::1', 5000],
      ['udp4', undefined, 1195],
    ]);
    expect(listeners(text)[0].implied).toBe(false);
  });

  test('seed: "<listen> like <connection> but uses all <listen> blocks at the same time"', () => {
    const all = listeners(
      [
        'local 192.0.2.1',
        'sndbuf 1000',
        '<listen>',
        'proto tcp4',
        'port 443',
        'rcvbuf 2000',
        'tag web',
        'max-clients 7',
        'listen-backlog 99',
        '</listen>',
        '<listen>',
        'local a.example 1',
        'local b.example 2 udp6',
        'bind-policy all',
        'connect-freq 3 10',
        'connect-freq-initial 4 20',
        'tag two',
        '</listen>',
        '<listen>',
        'proto udp6',
        'bind ipv6only',
        'socket-flags TCP_NODELAY',
        '</listen>',
        'max-clients 50',
        'connect-freq 100 10',
        '',
      ].join('\n'),
    );
    expect(all.map(where)).toEqual([
      ['udp', '192.0.2.1', 1194],
      ['tcp4-server', undefined, 443],
      ['udp', 'a.example', 1],
      ['udp6', 'b.example', 2],
      ['udp6', undefined, 1194],
    ]);
    expect(all.map(({ tag }) => tag)).toEqual([undefined, 'web', 'two', 'two', undefined]);
    // What stands before a block counts inside; what is inside counts nowhere else.
    expect(all.map(({ socket }) => [socket.sendBufferBytes, socket.receiveBufferBytes])).toEqual([
      [1000, undefined],
      [1000, 2000],
      [1000, undefined],
      [1000, undefined],
      [1000, undefined],
    ]);
    expect(all.map(({ maxClients }) => maxClients)).toEqual([undefined, 7, undefined, undefined, undefined]);
    expect(all.map(({ backlog }) => backlog)).toEqual([512, 99, 512, 512, 512]);
    expect(all.map(({ bindPolicy }) => bindPolicy)).toEqual(['any', 'any', 'all', 'all', 'any']);
    expect(all.map(({ connectFreq }) => connectFreq?.count)).toEqual([undefined, undefined, 3, 3, undefined]);
    expect(all.map(({ connectFreqInitial }) => connectFreqInitial?.count)).toEqual([
      undefined,
      undefined,
      4,
      4,
      undefined,
    ]);
    expect(all.map(({ bindIpv6Only }) => bindIpv6Only)).toEqual([false, false, false, false, true]);
    expect(all.map(({ socket }) => socket.noDelay)).toEqual([false, false, false, false, true]);
    expect(all.every(({ bind, implied, remote }) => bind && !implied && remote === undefined)).toBe(true);
  });

  test('the whole server keeps its own limits', () => {
    const result = parse(
      `${SERVER}max-clients 50\nconnect-freq 5 6\n<listen>\nmax-clients 7\nconnect-freq 1 1\n</listen>\n`,
    );
    expect(result.ok && result.standAlone === undefined && result.options.server).toMatchObject({
      maxClients: 50,
      connectFreq: { count: 5, seconds: 6 },
    });
  });

  test('each block has a key of its own or the global one, wherever that stands', () => {
    const all = listeners(
      '<listen>\nport 1\ntls-crypt a\n</listen>\n<listen>\nport 2\ntls-auth b 0\n</listen>\n<listen>\nport 3\n</listen>\ntls-crypt global\n',
    );
    expect(
      all.map(({ controlWrap: wrap }) => [wrap.kind, wrap.kind === 'none' ? '' : (wrap.key as { path: string }).path]),
    ).toEqual([
      ['tls-crypt', 'a'],
      ['tls-auth', 'b'],
      ['tls-crypt', 'global'],
    ]);
  });

  test('options that are bound to a transport hold where it is', () => {
    const notice = 'NOTICE: --explicit-exit-notify ignored for --proto tcp';
    const result = parse(`${SERVER}local * 1 udp\nlocal * 1 tcp\nexplicit-exit-notify 1\nconnect-freq 1 1\n`);
    expect(result.ok && result.standAlone === undefined && result.warnings).toContain(notice);
    expect(
      listeners('local * 1 udp\nlocal * 1 tcp\nexplicit-exit-notify 1\n').map(({ exitNotify }) => exitNotify),
    ).toEqual([1, 0]);
  });
});

describe('one family for all of them', () => {
  test('seed: "add --ipv4 and --ipv6 options to force a protocol": listeners too, and no IPv4 through an IPv6 socket', () => {
    const family = ({ protocol, bindIpv6Only }: Listener): unknown => [protocol.family, bindIpv6Only];
    const blocks = '<listen>\nport 1\n</listen>\n<listen>\nport 2\nproto tcp\n</listen>\n';
    expect(listeners(`ipv4\n${blocks}`).map(family)).toEqual([
      [4, false],
      [4, false],
    ]);
    expect(listeners(`${blocks}ipv6\n`).map(family)).toEqual([
      [6, true],
      [6, true],
    ]);
    // As stock: a suffix alone leaves IPv4 in.
    expect(listeners('proto udp6\n').map(family)).toEqual([[6, false]]);
    expect(error(`${SERVER}ipv4\n<listen>\nproto udp6\n</listen>\n`)).toContain("--ipv4 conflicts with 'proto udp6'");
  });
});

describe('settings of sockets', () => {
  test('stand before a block for it and all that follow, or inside for it alone', () => {
    const text =
      'mark 7\n<listen>\nport 1\nbind-dev eth1\nmtu-disc no\nmultihome same-interface\n</listen>\n<listen>\nport 2\nmark 4294967295\nmultihome\n</listen>\nlocal *\nbind-dev eth0\n';
    const off = { sendBufferBytes: undefined, receiveBufferBytes: undefined, noDelay: false };
    const none = { ...off, mtuDiscovery: undefined, multihome: undefined };
    expect(listeners(text).map(({ socket }) => socket)).toEqual([
      { ...none, mark: 7, bindDevice: 'eth0' },
      { ...off, mark: 7, bindDevice: 'eth1', mtuDiscovery: 'no', multihome: 'same-interface' },
      { ...none, mark: 0xffff_ffff, bindDevice: undefined, multihome: 'any-interface' },
    ]);
  });

  test('have ranges and words', () => {
    for (const [line, sentence] of [
      ['mark -1', 'mark'],
      ['mark 4294967296', 'mark'],
      ['bind-dev a/b', 'bind-dev: a network device has a name of 1 to 15 characters'],
      ['bind-dev sixteenletters12', 'bind-dev: a network device has a name'],
      ['mtu-disc perhaps', "invalid --mtu-disc type: 'perhaps' -- valid types are 'yes', 'maybe', or 'no'"],
      ['multihome other', 'multihome'],
      ['txqueuelen 0', 'txqueuelen'],
    ]) {
      expect(error(`${SERVER}${line}\n`), line).toContain(sentence);
    }
  });

  test('passtos is for UDP: over TCP alone there is a note', () => {
    const warnings = (text: string): readonly string[] => {
      const result = parse(SERVER + text);
      return result.ok && result.standAlone === undefined ? result.warnings : ['refused'];
    };
    expect(warnings('passtos\nproto tcp\n').join()).toContain('NOTE: --passtos has no effect with --proto tcp');
    expect(warnings('passtos\nlocal * 1 tcp\nlocal * 1 udp\n').join()).not.toContain('passtos');
  });

  test('multihome is for who waits: a client is told so', () => {
    const note = 'NOTE: --multihome is for who waits for peers: it has no effect with --remote';
    const client = parse(`${CLIENT}multihome\n`);
    expect(client.ok && client.standAlone === undefined && client.warnings).toContain(note);
    const server = parse(`${SERVER}multihome\n`);
    expect(server.ok && server.standAlone === undefined && server.warnings).not.toContain(note);
  });
});

describe('listeners that cannot be', () => {
  test('several local lines without a server', () => {
    expect(error(`${CLIENT}local a\nlocal b\n`)).toBe(
      'Options error: multiple --local statements only allowed in --server mode',
    );
    expect(parse(`${CLIENT}local a\n`).ok).toBe(true);
  });

  test('<listen> on a client', () => {
    expect(error(`${CLIENT}<listen>\nport 1\n</listen>\n`)).toBe('Options error: <listen> requires --mode server');
  });

  test('remotes, proxies and what concerns the whole server inside a block', () => {
    for (const line of ['remote a', 'http-proxy a 1', 'socks-proxy a', 'nobind', 'verb 3', 'cipher x', 'push "x"']) {
      expect(error(`${SERVER}<listen>\n${line}\n</listen>\n`)).toContain(
        `Options error: option '${line.split(' ')[0]}' cannot be used in this context (server.conf:`,
      );
    }
  });

  test('tag outside of a block, or one that would break a line', () => {
    expect(error(`${SERVER}tag a\n`)).toContain("option 'tag' cannot be used in this context");
    for (const tag of ['a,b', '"a b"', 'ü', 'x'.repeat(65)]) {
      expect(error(`${SERVER}<listen>\ntag ${tag}\n</listen>\n`)).toContain('tag: a name has up to 64');
    }
  });

  test('the same place twice, the same tag twice: with the places of both', () => {
    const first = SERVER.split('\n').length;
    const at = (second: number): string => ` (server.conf:${second}, as at server.conf:${first})`;
    expect(error(`${SERVER}local 192.0.2.1\nlocal 192.0.2.1\n`)).toBe(
      `Options error: duplicate listener udp 192.0.2.1:1194${at(first + 1)}`,
    );
    expect(error(`${SERVER}local *\n<listen>\nport 1194\n</listen>\n`)).toBe(
      `Options error: duplicate listener udp *:1194${at(first + 1)}`,
    );
    expect(error(`${SERVER}<listen>\ntag a\n</listen>\n<listen>\ntag a\nport 2\n</listen>\n`)).toBe(
      `Options error: duplicate listener tag a${at(first + 3)}`,
    );
    expect(listeners('local * 1 udp\nlocal * 1 tcp\nlocal 192.0.2.1 1\nlocal * 2\n')).toHaveLength(4);
    expect(listeners('<listen>\ntag a\nlocal * 1\nlocal * 2\n</listen>\n').map(({ tag }) => tag)).toEqual(['a', 'a']);
  });

  test('more places than anybody has, in reasonable time', () => {
    const lines = Array.from({ length: 60_000 }, (_, index) => `local * ${index + 1}\n`);
    expect(listeners(lines.slice(0, 1024).join(''))).toHaveLength(1024);
    expect(error(SERVER + lines.join(''))).toContain('local: a server listens at 1024 places at most (server.conf:');
  });

  test('what is no address and no name either, where it is written', () => {
    const line = SERVER.split('\n').length;
    for (const host of ['300.1.1.1', '1.2.3.4.5', '10.0.0.', '1..2', '4294967296', 'fe80::g', '1::2::3', ':']) {
      expect(error(`${SERVER}local ${host}\n`)).toBe(
        `Options error: local: '${host}' is neither an address nor a host name (server.conf:${line})`,
      );
    }
    expect(error(`${CLIENT}local 300.1.1.1\n`)).toContain("local: '300.1.1.1' is neither");
    for (const host of [
      '127.1',
      '10.0.0.1',
      '::',
      'fe80::1%eth0',
      '2001:db8::192.0.2.1',
      '3com.example',
      '1e',
      'localhost',
    ]) {
      expect(listeners(`local ${host}\n`)[0].localHost).toBe(host);
    }
  });

  test('a protocol that there is not, or of the other side', () => {
    expect(error(`${SERVER}local 192.0.2.1 1194 sctp\n`)).toContain(
      "Options error: local: bad protocol associated with host 192.0.2.1: 'sctp'",
    );
    expect(error(`${SERVER}local * 1194 tcp-client\n`)).toContain(
      '--mode server currently only supports --proto values',
    );
  });

  test('connect-freq without UDP', () => {
    const sentence =
      'Options error: --connect-freq only works with --mode server --proto udp.  Try --max-clients instead.';
    expect(error(`${SERVER}proto tcp\nconnect-freq 1 1\n`)).toBe(sentence);
    expect(error(`${SERVER}local * 1\n<listen>\nproto tcp\nconnect-freq 1 1\n</listen>\n`)).toBe(sentence);
    expect(listeners('local * 1 tcp\nlocal * 1 udp\nconnect-freq 1 1\n')).toHaveLength(2);
    const initial = parse(`${SERVER}proto tcp\nconnect-freq-initial 1 1\n`);
    expect(initial.ok && initial.standAlone === undefined && initial.warnings.join('\n')).toContain(
      '--connect-freq-initial has no effect',
    );
  });

  test('a block that is not one', () => {
    expect(error(`${SERVER}listen x\n`)).toContain('write a <listen> block');
  });
});
