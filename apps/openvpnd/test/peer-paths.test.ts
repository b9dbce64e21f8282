import { ExternalMux, linkAddress, parseEndpoint } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import { NEVER } from '@openvpnd/sans-io';
import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { PeerPaths, type PeerPathsOptions } from '../src/client/peer-paths.js';

function at(host: string, port: number, link: number): LinkAddress {
  const endpoint = parseEndpoint(host, port);
  if (endpoint === undefined) throw new Error(host);
  return linkAddress(endpoint, link);
}

const IPV6 = at('2001:db8::1', 1194, 1);
const IPV4 = at('192.0.2.1', 1194, 2);
const STRANGER = at('203.0.113.9', 666, 2);

function makePaths(options: Partial<PeerPathsOptions> = {}): { paths: PeerPaths; mux: ExternalMux } {
  const mux = new ExternalMux({ random: new SeededRandom(1), maxPeers: 1, role: 'client' });
  const paths = new PeerPaths({ mux, addresses: [IPV6, IPV4], raceDelayMs: 2000, afterwards: 'close', ...options });
  paths.start(0);
  return { paths, mux };
}

describe('PeerPaths: one address', () => {
  it('is where packets go, and nothing else happens', () => {
    const { paths, mux } = makePaths({ addresses: [IPV4] });
    expect(paths.targets()).toEqual([IPV4]);
    expect(paths.nextTimeout()).toBe(NEVER);
    expect(paths.waiting).toBe(false);
    expect(paths.handleHeard(IPV4)).toEqual({ settled: true, closing: [] });
    expect(paths.handleHeard(IPV4)).toEqual({ settled: false, closing: [] });
    expect(mux.addressOf(0)).toEqual(IPV4);
  });
});

describe('PeerPaths: a race', () => {
  it('sends to the second address as well when the first is silent', () => {
    const { paths, mux } = makePaths();
    expect(paths.targets()).toEqual([IPV6]);
    expect(mux.lookup(IPV4)).not.toBe(0);
    expect(paths.nextTimeout()).toBe(2000);
    expect(paths.handleTimeout(1999)).toEqual([]);
    expect(paths.handleTimeout(2000)).toEqual([IPV4]);
    expect(paths.targets()).toEqual([IPV6, IPV4]);
    expect(mux.lookup(IPV4)).toBe(0);
    expect(paths.nextTimeout()).toBe(NEVER);
  });

  it.each([
    ['the first', IPV6, IPV4],
    ['the second', IPV4, IPV6],
  ])('%s answers: it has won, and the link of the other is done with', (_, winner, loser) => {
    const { paths, mux } = makePaths();
    paths.handleTimeout(2000);
    expect(paths.handleHeard(winner)).toEqual({ settled: true, closing: [loser[7]] });
    expect(paths.targets()).toEqual([winner]);
    expect(mux.addressOf(0)).toEqual(winner);
    expect(mux.lookup(loser)).not.toBe(0);
  });

  it('lets the first win without a try of the second', () => {
    const { paths } = makePaths();
    expect(paths.handleHeard(IPV6)).toEqual({ settled: true, closing: [2] });
    expect(paths.handleTimeout(5000)).toEqual([]);
    expect(paths.targets()).toEqual([IPV6]);
  });

  it('takes an answer from elsewhere (--float) for the address on the same link', () => {
    const { paths, mux } = makePaths();
    paths.handleTimeout(2000);
    expect(paths.handleHeard(STRANGER)).toEqual({ settled: true, closing: [1] });
    expect(mux.addressOf(0)).toEqual(IPV4);
  });
});

describe('PeerPaths: nobody is known', () => {
  it('locks to the first who speaks authentically, and to nobody after that', () => {
    const { paths, mux } = makePaths({ addresses: [], afterwards: 'lead' });
    expect(paths.waiting).toBe(true);
    expect(paths.targets()).toEqual([]);
    expect(paths.handleHeard(IPV4)).toEqual({ settled: true, closing: [] });
    expect(paths.waiting).toBe(false);
    expect(paths.targets()).toEqual([IPV4]);
    expect(paths.handleHeard(STRANGER)).toEqual({ settled: false, closing: [] });
    expect(mux.addressOf(0)).toEqual(IPV4);
  });

  it('locks to the first whose data is authentic, where there is no control channel', () => {
    const { paths, mux } = makePaths({ addresses: [], afterwards: 'follow' });
    expect(paths.handleFloated(IPV4)).toBe(true);
    expect(paths.waiting).toBe(false);
    expect(mux.addressOf(0)).toEqual(IPV4);
  });
});

describe('PeerPaths: point to point, with an address of each family', () => {
  it('hears its peer on either, although it has sent to one', () => {
    const { paths, mux } = makePaths({ afterwards: 'lead' });
    expect(mux.lookup(IPV4)).toBe(0);
    expect(paths.targets()).toEqual([IPV6]);
    expect(paths.handleHeard(IPV4)).toEqual({ settled: true, closing: [] });
    expect(paths.targets()).toEqual([IPV4]);
    expect(mux.lookup(IPV6)).toBe(0);
  });

  it('the TLS client stays, the server follows: they cannot swap for ever', () => {
    const lead = makePaths({ afterwards: 'lead' });
    const follow = makePaths({ afterwards: 'follow' });
    for (const { paths } of [lead, follow]) paths.handleHeard(IPV6);
    for (const { paths } of [lead, follow]) paths.handleHeard(IPV4);
    expect(lead.paths.targets()).toEqual([IPV6]);
    expect(follow.paths.targets()).toEqual([IPV4]);
    expect(lead.paths.handleFloated(IPV4)).toBe(false);
    expect(follow.paths.handleFloated(IPV6)).toBe(true);
    expect(follow.paths.targets()).toEqual([IPV6]);
  });
});
