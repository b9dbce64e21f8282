import { findDataCipher, sealedBytesOf } from '@openvpnd/keygen';
import type { LogFields } from '@openvpnd/sans-io';
import { emitOccMessage, type OccMessage } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { OccExchange, type OccExchangeOptions } from '../src/client/occ-exchange.js';

const CIPHER = findDataCipher('AES-256-GCM');
if (CIPHER === undefined) throw new Error('no cipher');
const SHAPE = { cipher: CIPHER, digestBytes: 20, mode: 'tls', peerId: true } as const;
const FULL = sealedBytesOf(1500, SHAPE);
const STRING = 'V4,dev-type tun,link-mtu 1560,tun-mtu 1500,auth SHA1,secret';

/** Two ends whose messages pass when `passes` says so; what they log is kept. */
class End {
  readonly events: [event: string, fields: LogFields | undefined][] = [];
  readonly sizes = { largestReceived: 0, largestSent: 0 };
  readonly exchange: OccExchange;

  constructor(options: Partial<OccExchangeOptions> = {}) {
    const add = (event: string, fields?: LogFields): void => void this.events.push([event, fields]);
    this.exchange = new OccExchange({
      optionsString: STRING,
      tunMtu: 1500,
      mtuTest: false,
      fragment: false,
      counters: () => this.sizes as never,
      log: { error: add, warn: add, info: add, debug: add },
      ...options,
    });
    this.exchange.useShape(SHAPE);
  }
}

/** Lets both ends talk until they have nothing to say. @returns the messages of `a`'s own accord, with their times */
function converse(a: End, b: End, passes: (bytes: number) => boolean = () => true): [at: number, OccMessage][] {
  const said: [number, OccMessage][] = [];
  const send = (from: End, to: End, message: OccMessage): void => {
    const bytes = sealedBytesOf(emitOccMessage(message).length, SHAPE);
    from.sizes.largestSent = Math.max(from.sizes.largestSent, bytes);
    if (!passes(bytes)) return;
    to.sizes.largestReceived = Math.max(to.sizes.largestReceived, bytes);
    const answer = to.exchange.handleMessage(message);
    if (answer !== undefined) send(to, from, answer);
  };
  for (const end of [a, b]) end.exchange.begin(0);
  for (;;) {
    const now = Math.min(a.exchange.nextTimeout(), b.exchange.nextTimeout());
    if (now > 1e6) return said;
    for (const message of a.exchange.handleTimeout(now)) {
      said.push([now, message]);
      send(a, b, message);
    }
    for (const message of b.exchange.handleTimeout(now)) send(b, a, message);
  }
}

describe('options', () => {
  test('are asked for every ten seconds until the peer answers, and compared', () => {
    const a = new End({ expectedOptionsString: STRING.replace('SHA1', 'SHA256') });
    expect(converse(a, new End())).toEqual([[10_000, { type: 'REQUEST' }]]);
    expect(a.events).toEqual([['occ.inconsistent', { name: 'auth', local: 'auth SHA256', remote: 'auth SHA1' }]]);
  });

  test('that agree are no word worth', () => {
    const a = new End({ expectedOptionsString: STRING });
    converse(a, new End());
    expect(a.events).toEqual([]);
  });

  test('are given up after eleven questions', () => {
    const a = new End({ expectedOptionsString: STRING });
    const said = converse(a, new End(), () => false);
    expect(said.map(([at]) => at)).toEqual(Array.from({ length: 11 }, (_, index) => 10_000 * (index + 1)));
    expect(a.events).toEqual([['occ.no-reply', undefined]]);
  });

  test('are not asked for where TLS tells them, and an answer that nobody asked for changes nothing', () => {
    const a = new End();
    expect(converse(a, new End())).toEqual([]);
    a.exchange.handleMessage({ type: 'REPLY', optionsString: 'V4' });
    const b = new End({ expectedOptionsString: STRING });
    b.exchange.handleMessage({ type: 'REPLY', optionsString: 'V4' });
    expect([...a.events, ...b.events]).toEqual([]);
  });
});

describe('--mtu-test', () => {
  test('tries growing sizes both ways, three times each, and tells what arrived', () => {
    const a = new End({ mtuTest: true });
    const said = converse(a, new End());
    expect(said.slice(0, 3)).toEqual([
      [3000, { type: 'MTU_LOAD_REQUEST', bytes: FULL - 1000 }],
      [6000, { type: 'MTU_LOAD', fillerBytes: expect.any(Number) }],
      [9000, { type: 'MTU_LOAD_REQUEST', bytes: FULL - 1000 }],
    ]);
    expect(said.slice(-2)).toEqual([
      [180_000, { type: 'MTU_LOAD', fillerBytes: 1500 - 17 }],
      [183_000, { type: 'MTU_REQUEST' }],
    ]);
    expect(a.events).toEqual([
      ['mtu-test.begins', undefined],
      ['mtu-test.completed', { sent: FULL, arrivedThere: FULL, sentThere: FULL, arrived: FULL }],
    ]);
  });

  test('finds what a narrow path lets through', () => {
    const a = new End({ mtuTest: true });
    converse(a, new End(), (bytes) => bytes <= 1300);
    const passed = FULL - 300;
    expect(a.events.slice(1)).toEqual([
      ['mtu-test.completed', { sent: FULL, arrivedThere: passed, sentThere: FULL, arrived: passed }],
      ['mtu-test.too-large', { bytes: FULL }],
    ]);
    const b = new End({ mtuTest: true, fragment: true });
    converse(b, new End(), (bytes) => bytes <= 1300);
    expect(b.events.map(([event]) => event)).toEqual(['mtu-test.begins', 'mtu-test.completed']);
  });

  test('fails when the peer says nothing', () => {
    const a = new End({ mtuTest: true });
    const said = converse(a, new End(), () => false);
    expect(said.filter(([, { type }]) => type === 'MTU_REQUEST')).toHaveLength(5);
    expect(a.events.map(([event]) => event)).toEqual(['mtu-test.begins', 'mtu-test.failed']);
  });

  test('without it nothing is sent, and a reply means nothing', () => {
    const a = new End();
    expect(converse(a, new End())).toEqual([]);
    a.exchange.handleMessage({ type: 'MTU_REPLY', largestReceived: 1, largestSent: 1 });
    expect(a.events).toEqual([]);
  });
});
