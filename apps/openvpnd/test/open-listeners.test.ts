import { type Listener, parseConfigText } from '@openvpnd/config';
import {
  bindError,
  type Endpoint,
  formatEndpoint,
  type LinkFactory,
  type LinkListenOptions,
  type LinkSocket,
  linkAddress,
} from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import { describe, expect, test } from 'vitest';
import { openListeners } from '../src/server/open-listeners.js';

const SERVER =
  'dev tun\n<ca>\n</ca>\n<cert>\n</cert>\n<key>\n</key>\ndh none\nserver 10.8.0.0 255.255.255.0\nkeepalive 10 60\n';

function listenersOf(text: string): readonly Listener[] {
  const result = parseConfigText(SERVER + text, 'server.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(JSON.stringify(result));
  return result.options.listeners;
}

/** A system on which some addresses cannot be bound. */
class FakeSystem {
  readonly bound: string[] = [];
  readonly lines: string[] = [];
  readonly asked: LinkListenOptions[] = [];
  readonly #busy: readonly string[];
  readonly #hasIpv6: boolean;

  constructor(options: { readonly busy?: readonly string[]; readonly hasIpv6?: boolean } = {}) {
    this.#busy = options.busy ?? [];
    this.#hasIpv6 = options.hasIpv6 ?? true;
  }

  open(text: string): ReturnType<typeof openListeners> {
    const log = { say: (_verb: number, line: string) => this.lines.push(line), events: () => ({ warn: () => {} }) };
    return openListeners(
      { log, passedSockets: [] } as never,
      listenersOf(text),
      (listener) => this.#factory(listener),
      {
        link: () => {},
      },
    );
  }

  #factory({ protocol }: Listener): LinkFactory {
    return {
      protocol: protocol.transport,
      connect: () => {
        throw new Error('a server does not connect');
      },
      listen: (where, watcher) => {
        this.asked.push(where);
        const any: Endpoint =
          where.family === 4 || !this.#hasIpv6
            ? { family: 4, address: '0.0.0.0', port: where.port ?? 0 }
            : { family: 6, address: '::', port: where.port ?? 0 };
        const local = where.local ?? any;
        const name = `${protocol.transport} ${formatEndpoint(local)}`;
        queueMicrotask(() => {
          if (this.#busy.includes(local.address)) {
            watcher.failed(bindError(local, 'EADDRINUSE'));
            return;
          }
          this.bound.push(name);
          watcher.listening(linkAddress(local));
          if (protocol.transport === 'udp') watcher.link(fakeLink(linkAddress(local)), undefined);
        });
        return { close: () => this.bound.splice(this.bound.indexOf(name), 1) };
      },
    };
  }
}

function fakeLink(local: LinkAddress): LinkSocket {
  return { localAddress: () => local } as LinkSocket;
}

const BUSY = 'TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:1194: Address already in use (errno=98)';

describe('opening the listeners of a server', () => {
  test('seed: "bind to all returned results", of TCP and of UDP ("Same behavior as tcp-server/client"), each once', async () => {
    // In every hosts file: both families.
    for (const [proto, name] of [
      ['tcp', 'tcp'],
      ['udp', 'udp'],
    ]) {
      const system = new FakeSystem();
      const open = await system.open(`proto ${proto}\nlocal localhost\n`);
      expect(system.bound).toContain(`${name} [AF_INET]127.0.0.1:1194`);
      expect(new Set(system.bound).size).toBe(system.bound.length);
      open.close();
      expect(system.bound).toEqual([]);
    }
  });

  test('seed: "At the moment udp forces AF_INET and udp6 AF_INET6": wildcards take one socket for both families', async () => {
    const system = new FakeSystem();
    await system.open('local * 1 udp\nlocal * 2 tcp\nlocal * 3 udp4\nlocal * 4 tcp6\n');
    expect(system.bound).toEqual([
      'udp [AF_INET6][undef]:1',
      'tcp [AF_INET6][undef]:2',
      'udp [AF_INET][undef]:3',
      'tcp [AF_INET6][undef]:4',
    ]);
    expect(system.lines).toEqual([
      'UDPv6 link local (bound): [AF_INET6][undef]:1',
      'UDPv6 link remote: [AF_UNSPEC]',
      'Listening for incoming TCP connection on [AF_INET6][undef]:2',
      'TCPv6_SERVER link local (bound): [AF_INET6][undef]:2',
      'TCPv6_SERVER link remote: [AF_UNSPEC]',
      'UDPv4 link local (bound): [AF_INET][undef]:3',
      'UDPv4 link remote: [AF_UNSPEC]',
      'Listening for incoming TCP connection on [AF_INET6][undef]:4',
      'TCPv6_SERVER link local (bound): [AF_INET6][undef]:4',
      'TCPv6_SERVER link remote: [AF_UNSPEC]',
    ]);
  });

  test('without IPv6 in the system a wildcard is IPv4, with a note', async () => {
    const system = new FakeSystem({ hasIpv6: false });
    await system.open('');
    expect(system.bound).toEqual(['udp [AF_INET][undef]:1194']);
    expect(system.lines[0]).toBe('NOTE: this system has no IPv6: listening on IPv4 alone');
    const asked = new FakeSystem();
    await asked.open('proto udp4\n');
    expect(asked.lines.join()).not.toContain('NOTE');
  });

  test('an address that cannot be bound is fatal, and nothing stays open', async () => {
    const system = new FakeSystem({ busy: ['127.0.0.1'] });
    await expect(system.open('local *\nlocal 127.0.0.1\n')).rejects.toThrow(BUSY);
    expect(system.bound).toEqual([]);
  });

  test('a name of which one address can be bound does, with a warning for the others, unless bind-policy all', async () => {
    const name = 'local localhost\n';
    const probe = new FakeSystem();
    await probe.open(name);
    // A machine whose localhost is IPv4 alone has nothing to choose from.
    const several = probe.bound.length > 1;
    const system = new FakeSystem({ busy: ['127.0.0.1'] });
    if (several) {
      await system.open(name);
      expect(system.bound).toEqual(['udp [AF_INET6]::1:1194']);
      expect(system.lines.at(-1)).toBe(`WARNING: ${BUSY}`);
      await expect(new FakeSystem({ busy: ['127.0.0.1'] }).open(`${name}bind-policy all\n`)).rejects.toThrow(BUSY);
    }
    const none = new FakeSystem({ busy: ['127.0.0.1', '::1'] });
    await expect(none.open(name)).rejects.toThrow('Socket bind failed');
    expect(none.bound).toEqual([]);
  });

  test('a transport that never answers is taken back when a signal comes, with all that stands open', async () => {
    const open = new Set<string>();
    const abort = new AbortController();
    const log = { say: () => {}, events: () => ({ warn: () => {} }) };
    const opening = openListeners(
      { log, passedSockets: [] } as never,
      listenersOf('local * 1\nlocal * 2\n'),
      ({ protocol, localPort }) => ({
        protocol: protocol.transport,
        connect: () => {
          throw new Error('a server does not connect');
        },
        listen: (_where, watcher) => {
          open.add(`port ${localPort}`);
          const local = linkAddress({ family: 4, address: '0.0.0.0', port: localPort });
          if (localPort === 1) queueMicrotask(() => watcher.listening(local));
          else queueMicrotask(() => abort.abort(new Error('interrupted')));
          return { close: () => open.delete(`port ${localPort}`) };
        },
      }),
      { link: () => {} },
      abort.signal,
    );
    await expect(opening).rejects.toThrow('interrupted');
    expect(open.size).toBe(0);
  });

  test('tags are told; backlog and ipv6only are handed on', async () => {
    const system = new FakeSystem();
    await system.open('<listen>\nproto tcp\nbind ipv6only\nlisten-backlog 7\ntag web\n</listen>\n');
    expect(system.lines[0]).toBe('Listening for incoming TCP connection on [AF_INET6][undef]:1194 (listener web)');
    expect(system.asked).toEqual([{ port: 1194, ipv6Only: true, backlog: 7 }]);
  });
});
