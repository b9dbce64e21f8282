import { VirtualClock } from '@openvpnd/testkit';
import { describe, expect, test } from 'vitest';
import { EntryResolver } from '../src/client/entry-addresses.js';
import type { Run } from '../src/run.js';
import { optionsOf } from './options-of.js';

const CLIENT = [
  'client',
  'dev tun',
  ...['ca', 'cert', 'key'].flatMap((name) => [`<${name}>`, name, `</${name}>`]),
  'remote-cert-tls server',
];

/** A run whose log is kept, with the files' `localhost` as the only name there is. */
function makeRun(lines: readonly string[]): { run: Run; said: string[] } {
  const said: string[] = [];
  const run = {
    options: optionsOf(...CLIENT, ...lines).options,
    clock: new VirtualClock(),
    inbox: { wait: () => Promise.resolve(), pending: undefined },
    random: { fill: (bytes: Uint8Array) => bytes.fill(0xab) },
    log: { say: (_verb: number, line: string) => void said.push(line) },
  } as unknown as Run;
  return { run, said };
}

async function resolve(lines: readonly string[]) {
  const { run, said } = makeRun(lines);
  const resolver = new EntryResolver(run);
  const found = [];
  for (const entry of run.options.connections) found.push(await resolver.resolve(entry));
  return { found, said };
}

describe('seed: "behaviour of bind/remote if they different in the returned protocols"', () => {
  test('"bind only IPv4 and remote IPv6, exit with error": such a remote cannot be used', async () => {
    const { found, said } = await resolve(['local 127.0.0.1', 'remote 2001:db8::1']);
    expect(found).toEqual([
      { type: 'unusable', reason: '--local 127.0.0.1 (IPv4) cannot reach --remote 2001:db8::1 (IPv6 only)' },
    ]);
    expect(said).toEqual([]);
  });

  test('the other way round', async () => {
    const { found } = await resolve(['local ::1', 'remote 192.0.2.1']);
    expect(found).toEqual([
      { type: 'unusable', reason: '--local ::1 (IPv6) cannot reach --remote 192.0.2.1 (IPv4 only)' },
    ]);
  });

  test('the same family is fine, and so is no address of ours', async () => {
    for (const local of [['local 127.0.0.1'], ['bind'], []]) {
      const { found, said } = await resolve([...local, 'remote 192.0.2.1 443']);
      expect(found).toMatchObject([{ type: 'found', remotes: [{ family: 4, address: '192.0.2.1', port: 443 }] }]);
      expect(said).toEqual([]);
    }
  });

  test('each profile is judged by itself', async () => {
    const { found } = await resolve(['local ::1', 'remote 192.0.2.1', 'remote 2001:db8::1']);
    expect(found.map(({ type }) => type)).toEqual(['unusable', 'found']);
  });
});

describe('EntryResolver', () => {
  test('an entry without a remote has nowhere to go, and may have an address of its own', async () => {
    const run = makeRun(['remote x']).run;
    const [entry] = run.options.connections;
    const waiting = { ...entry, remote: undefined, bind: true, localHost: '127.0.0.1' };
    expect(await new EntryResolver(run).resolve(waiting)).toEqual({
      type: 'found',
      remotes: [],
      locals: [{ family: 4, address: '127.0.0.1' }],
    });
  });

  test('a name that there is not fails, after as long as resolv-retry says', async () => {
    const { found, said } = await resolve(['remote nowhere.invalid', 'resolv-retry 0']);
    expect(found).toEqual([{ type: 'failed' }]);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('RESOLVE: Cannot resolve host address: nowhere.invalid');
  });

  test('remote-random-hostname puts a random label in front of names, and of no address', async () => {
    const { said } = await resolve(['remote nowhere.invalid', 'resolv-retry 0', 'remote-random-hostname']);
    expect(said[0]).toContain('RESOLVE: Cannot resolve host address: abababababab.nowhere.invalid');
    const { found } = await resolve(['remote 192.0.2.1', 'remote-random-hostname']);
    expect(found).toMatchObject([{ type: 'found', remotes: [{ address: '192.0.2.1' }] }]);
  });
});
