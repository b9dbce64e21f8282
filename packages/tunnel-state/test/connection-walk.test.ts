import { NEVER } from '@openvpnd/sans-io';
import { SeededRandom } from '@openvpnd/testkit';
import { ConnectionWalk, type ConnectionWalkOptions, type WalkAction } from '@openvpnd/tunnel-state';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

interface Entry {
  readonly host: string;
  readonly retrySeconds: number;
  readonly retryMaxSeconds: number;
}
type Walk = ConnectionWalk<Entry, string>;
type Action = WalkAction<Entry, string>;

function entry(host: string, retrySeconds = 1, retryMaxSeconds = 300): Entry {
  return { host, retrySeconds, retryMaxSeconds };
}

function makeWalk(hosts: readonly (string | Entry)[], options: Partial<ConnectionWalkOptions<Entry>> = {}): Walk {
  return new ConnectionWalk({
    entries: hosts.map((host) => (typeof host === 'string' ? entry(host) : host)),
    ...options,
  });
}

/** Lets every attempt fail and notes what was tried and how long the pauses were, until the walk gives up. */
function failAll(walk: Walk, addresses: Readonly<Record<string, readonly string[]>>, attempts: number): string[] {
  const seen: string[] = [];
  let now = 1000;
  let action: Action | undefined = walk.start();
  let tried = 0;
  while (action !== undefined && tried < attempts) {
    switch (action.type) {
      case 'resolve':
        action = walk.handleResolved(now, addresses[action.entry.host] ?? []);
        break;
      case 'connect':
        seen.push(action.address);
        tried += 1;
        action = walk.handleFailure(now);
        break;
      case 'wait':
        seen.push(`${action.seconds} s`);
        expect(walk.nextTimeout()).toBe(action.until);
        expect(walk.handleTimeout(action.until - 1)).toBeUndefined();
        now = action.until;
        action = walk.handleTimeout(now);
        break;
      case 'exhausted':
      case 'unusable':
        seen.push(action.type);
        return seen;
    }
  }
  return seen;
}

/** The action of a walk that connects at once to the entry's only address. */
function connectFirst(walk: Walk): Action {
  walk.start();
  return walk.handleResolved(0, ['a1', 'a2']);
}

describe('ConnectionWalk', () => {
  it('pauses as OpenVPN 2.6 does with one remote: 1, 1, 1, 1, 2, 4, 8 … 300 seconds', () => {
    const seen = failAll(makeWalk(['a']), { a: ['a1'] }, 16);
    expect(seen.filter((text) => text.endsWith(' s')).map((text) => Number.parseInt(text, 10))).toEqual([
      1, 1, 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300,
    ]);
  });

  it('tries every address of an entry, then the next entry, then begins again', () => {
    expect(failAll(makeWalk(['a', 'b']), { a: ['a1', 'a2'], b: ['b1'] }, 5)).toEqual([
      'a1',
      '1 s',
      'a2',
      '1 s',
      'b1',
      '1 s',
      'a1',
      '1 s',
      'a2',
    ]);
  });

  it('skips an entry that has no address, as a failure', () => {
    expect(failAll(makeWalk(['nowhere', 'b']), { b: ['b1'] }, 2)).toEqual(['1 s', 'b1', '1 s', '1 s', 'b1']);
  });

  it('gives up after connect-retry-max attempts on every entry, as OpenVPN 2.6 does: after the last pause', () => {
    expect(failAll(makeWalk(['a', 'b'], { connectRetryMax: 2 }), { a: ['a1'], b: ['b1'] }, 99)).toEqual([
      'a1',
      '1 s',
      'b1',
      '1 s',
      'a1',
      '1 s',
      'b1',
      '1 s',
      'exhausted',
    ]);
  });

  it('counts entries and not addresses for connect-retry-max', () => {
    expect(failAll(makeWalk(['a'], { connectRetryMax: 1 }), { a: ['a1', 'a2'] }, 99)).toEqual([
      'a1',
      '1 s',
      'a2',
      '1 s',
      'exhausted',
    ]);
  });

  it('doubles only after five attempts on every entry', () => {
    const seen = failAll(makeWalk(['a', 'b']), { a: ['a1'], b: ['b1'] }, 13);
    expect(seen.filter((text) => text.endsWith(' s')).map((text) => Number.parseInt(text, 10))).toEqual([
      1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4,
    ]);
  });

  it('takes pause and limit from the entry', () => {
    expect(failAll(makeWalk([entry('a', 5, 7)]), { a: ['a1'] }, 7).filter((text) => text.endsWith(' s'))).toEqual([
      '5 s',
      '5 s',
      '5 s',
      '5 s',
      '7 s',
      '7 s',
    ]);
    expect(failAll(makeWalk([entry('a', 0)]), { a: ['a1'] }, 6).filter((text) => text.endsWith(' s'))).toEqual([
      '0 s',
      '0 s',
      '0 s',
      '0 s',
      '2 s',
    ]);
  });

  it('forgets its failures after a success, and goes on with the next address when the tunnel ends', () => {
    const walk = makeWalk(['a', 'b'], { connectRetryMax: 1 });
    expect(connectFirst(walk)).toMatchObject({ type: 'connect', address: 'a1' });
    walk.handleConnected();
    expect(walk.unsuccessfulAttempts).toBe(0);
    expect(walk.nextTimeout()).toBe(NEVER);
    expect(walk.handleFailure(1000)).toEqual({ type: 'wait', until: 2000, seconds: 1 });
    expect(walk.handleTimeout(2000)).toMatchObject({ type: 'connect', address: 'a2' });
    walk.handleFailure(3000);
    expect(walk.handleTimeout(4000)).toMatchObject({ type: 'resolve', index: 1 });
  });

  it('stays where it is when told so', () => {
    const walk = makeWalk(['a', 'b']);
    connectFirst(walk);
    walk.handleFailure(0, { advance: 'no' });
    expect(walk.handleTimeout(1000)).toMatchObject({ type: 'connect', address: 'a1', index: 0 });
    expect(walk.unsuccessfulAttempts).toBe(1);
  });

  it('skips the other addresses when told to take the next remote', () => {
    const walk = makeWalk(['a', 'b']);
    connectFirst(walk);
    walk.handleFailure(0, { advance: 'remote' });
    expect(walk.handleTimeout(1000)).toMatchObject({ type: 'resolve', index: 1 });
  });

  it('resolves again when a name that failed is to be kept', () => {
    const walk = makeWalk(['a', 'b']);
    walk.start();
    walk.handleFailure(0, { advance: 'no' });
    expect(walk.handleTimeout(1000)).toMatchObject({ type: 'resolve', index: 0 });
  });

  it('heeds the server’s wish for a pause, up to the limit', () => {
    const walk = makeWalk([entry('a', 1, 60)]);
    connectFirst(walk);
    expect(walk.handleFailure(0, { backoffSeconds: 42 })).toMatchObject({ seconds: 42 });
    walk.handleTimeout(42_000);
    expect(walk.handleFailure(42_000, { backoffSeconds: 9999 })).toMatchObject({ seconds: 60 });
  });

  it('goes on without a pause when the attempt has taken its time', () => {
    const walk = makeWalk(['a']);
    connectFirst(walk);
    expect(walk.handleFailure(500, { immediately: true })).toEqual({ type: 'wait', until: 500, seconds: 0 });
    expect(walk.handleTimeout(500)).toMatchObject({ type: 'connect', address: 'a2' });
  });

  it('shuffles with the random that it is given, and loses nobody', () => {
    const hosts = ['a', 'b', 'c', 'd', 'e'];
    const order = (seed: number) =>
      makeWalk(hosts, { shuffle: new SeededRandom(seed) }).entries.map(({ host }) => host);
    expect(order(1)).toEqual(order(1));
    const orders = new Set(Array.from({ length: 200 }, (_, seed) => order(seed).join('')));
    expect(orders.size).toBeGreaterThan(60);
    const firsts = new Set(Array.from({ length: 100 }, (_, seed) => order(seed)[0]));
    expect([...firsts].sort()).toEqual(hosts);
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        expect([...order(seed)].sort()).toEqual(hosts);
      }),
      { seed: 1, numRuns: 100 },
    );
    expect(makeWalk(hosts).entries.map(({ host }) => host)).toEqual(hosts);
  });

  it('names the rivals of an address, and goes on behind the one that was tried last', () => {
    const walk = makeWalk(['a', 'b']);
    walk.start();
    expect(walk.handleResolved(0, ['a1', 'a2', 'a3'])).toMatchObject({ address: 'a1', rivals: ['a2', 'a3'] });
    walk.handleTried('a2');
    walk.handleFailure(0);
    expect(walk.handleTimeout(1000)).toMatchObject({ address: 'a3', rivals: [] });
    expect(() => walk.handleTried('b1')).toThrow(RangeError);
    walk.handleFailure(1000);
    expect(() => walk.handleTried('a3')).toThrow('nothing is tried');
    expect(walk.handleTimeout(2000)).toMatchObject({ type: 'resolve', index: 1 });
  });

  it('goes on behind the winner when the first of a race has won', () => {
    const walk = makeWalk(['a']);
    walk.start();
    walk.handleResolved(0, ['a1', 'a2', 'a3']);
    walk.handleTried('a2');
    walk.handleTried('a1');
    walk.handleConnected();
    walk.handleFailure(0);
    expect(walk.handleTimeout(1000)).toMatchObject({ address: 'a2' });
  });

  it('skips an entry that can never be used at once, and ends when there is no other', () => {
    const walk = makeWalk(['a', 'b']);
    expect(walk.start()).toMatchObject({ type: 'resolve', index: 0 });
    expect(walk.handleUnusable()).toMatchObject({ type: 'resolve', index: 1 });
    expect(walk.handleResolved(0, ['b1'])).toMatchObject({ address: 'b1' });
    walk.handleFailure(0);
    expect(walk.handleTimeout(1000)).toMatchObject({ type: 'resolve', index: 0 });
    expect(walk.handleUnusable()).toMatchObject({ type: 'resolve', index: 1 });
    expect(walk.handleUnusable()).toEqual({ type: 'unusable' });
    expect(() => walk.handleUnusable()).toThrow();
  });

  it('keeps to the address that worked, and resolves once, with persist-remote-ip', () => {
    const walk = makeWalk(['a'], { keepAddresses: true });
    walk.start();
    walk.handleResolved(0, ['a1', 'a2']);
    walk.handleFailure(0);
    expect(walk.handleTimeout(1000)).toMatchObject({ address: 'a2' });
    walk.handleConnected();
    walk.handleFailure(1000);
    expect(walk.handleTimeout(2000)).toMatchObject({ type: 'connect', address: 'a2' });
    walk.handleFailure(2000);
    // It did not work again: the walk goes on, without asking the resolver.
    expect(walk.handleTimeout(3000)).toMatchObject({ type: 'connect', address: 'a1' });
    // What the server wishes counts more.
    walk.handleConnected();
    walk.handleFailure(3000, { advance: 'address' });
    expect(walk.handleTimeout(4000)).toMatchObject({ type: 'connect', address: 'a2' });
  });

  it('throws when it is used wrongly', () => {
    expect(() => makeWalk([])).toThrow(RangeError);
    const walk = makeWalk(['a']);
    expect(() => walk.handleFailure(0)).toThrow();
    expect(() => walk.handleResolved(0, ['a1'])).toThrow();
    walk.start();
    expect(() => walk.start()).toThrow();
    walk.handleResolved(0, ['a1']);
    walk.handleFailure(0);
    expect(() => walk.handleFailure(0)).toThrow();
  });
});
