import { FakeTls, type FakeTlsOptions, fakeCertificate, SeededRandom } from '@openvpnd/testkit';
import { describe, expect, test } from 'vitest';
import { type Peer, World } from './two-peers.js';

const encoder = new TextEncoder();
const text = (message: string): Uint8Array => encoder.encode(message);

/** What a peer that has the keys may say in place of, or beside, what it should. */
const TEXTS: readonly string[] = [
  'PUSH_REQUEST\0',
  'PUSH_REPLY\0',
  'PUSH_REPLY,ifconfig 10.8.0.9 255.255.255.0,peer-id 99999999,cipher NONE,protocol-flags x\0',
  'PUSH_REPLY,route 10.0.0.0,push-continuation 2\0',
  'PUSH_REPLY,push-continuation 7\0',
  `PUSH_REPLY,${'route 10.0.0.0 255.0.0.0,'.repeat(500)}push-continuation 2\0`,
  'PUSH_UPDATE\0',
  'PUSH_UPDATE,-ifconfig,?route 10.0.0.0,push-continuation 2\0',
  'PUSH_UPDATE,cipher NONE\0',
  'AUTH_FAILED\0',
  'AUTH_FAILED,TEMP[backoff 99999999999,advance remote]\0',
  'AUTH_FAILED,CRV1:R,E:::\0',
  'AUTH_PENDING\0',
  'AUTH_PENDING,timeout 4294967295\0',
  'AUTH_PENDING,timeout -1\0',
  'AUTH_PENDING,timeout NaN,timeout 1e9\0',
  'INFO_PRE,OPEN_URL:https://example.com/\0',
  'INFO,CR_TEXT::\0',
  `INFO_PRE,${'x'.repeat(16_000)}\0`,
  'CR_RESPONSE\0',
  'CR_RESPONSE,c2VjcmV0\0',
  'CR_RESPONSE,no base64 \u00ff\0',
  'RESTART\0',
  'RESTART,[N][P]\0',
  'HALT\0',
  'HALT,[]\0',
  'EXIT\0',
  'EXIT\0EXIT\0EXIT\0',
  'a\0b\0c\0',
  'PUSH_REPLY,a\0b',
  'PUSH_REPLY,a\r\n\0',
  'PUSH_REPLY,a\u001b[2J\0',
  'PUSH_REPLY,\uffff\ud800\0',
  '\0\0\0\0',
  'no end',
  'x'.repeat(16_384),
];
/** Those that end a session are left for the end of a story. */
const ENDING = /^(AUTH_FAILED|RESTART|HALT|EXIT)/;

/** An engine whose owner's records are replaced on their way into TLS. */
class TwistedTls extends FakeTls {
  twist: (record: Uint8Array) => readonly Uint8Array[] = (record) => [record];

  override writePlaintext(bytes: Uint8Array): void {
    for (const record of this.twist(bytes)) super.writePlaintext(record);
  }
}

interface Story {
  readonly world: World;
  readonly hostile: Peer;
  readonly victim: Peer;
  /** Sends a record as it is. */
  readonly send: (record: Uint8Array) => void;
}

/** Two peers, one of which says what `twist` makes of its records: the first of a connection is its half of key method 2. */
function story(
  role: 'client' | 'server',
  seed: number,
  twist: (record: Uint8Array, index: number) => readonly Uint8Array[],
): Story {
  const random = new SeededRandom(seed);
  let engine: TwistedTls | undefined;
  let written = 0;
  let asIs: Uint8Array | undefined;
  const certificates = [fakeCertificate(role === 'client' ? 'client1' : 'server')];
  const options: FakeTlsOptions = { certificates };
  const engines = {
    create: ({ role: side, wake }: { role: 'client' | 'server'; wake: () => void }): FakeTls => {
      const key = new Uint8Array(32);
      random.fill(key);
      engine = new TwistedTls(side, wake, key, options);
      engine.twist = (record) => (asIs === undefined ? twist(record, written++) : [asIs]);
      return engine;
    },
  };
  const world = new World({ seed, [role]: { multi: { engines } } });
  const hostile = role === 'client' ? world.client : world.server;
  const send = (record: Uint8Array): void => {
    asIs = record;
    hostile.run(hostile.multi.sendControlMessage(world.clock.now(), 'whatever'));
    asIs = undefined;
  };
  return { world, hostile, victim: world.other(hostile), send };
}

describe.each(['client', 'server'] as const)('a hostile %s that holds a good certificate', (role) => {
  test.each(TEXTS.map((message, index) => [message.slice(0, 40), index] as const))(
    'says %j in place of its half of the key exchange: no key, no data, an end in time',
    (_, index) => {
      const { world, victim } = story(role, 1, (record, written) => (written === 0 ? [text(TEXTS[index])] : [record]));
      world.start();
      world.clock.advanceBy(130_000);
      expect(victim.all('install-keys')).toEqual([]);
      expect(victim.all('connected')).toEqual([]);
      expect(victim.all('pull')).toEqual([]);
      expect(victim.all('push-request')).toEqual([]);
    },
  );

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('cuts, doubles and mixes its records, seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const { world, victim, hostile } = story(role, seed, (record) => {
      switch (random.below(6)) {
        case 0:
          return [record.subarray(0, 1 + random.below(record.length))];
        case 1:
          return [record, record];
        case 2:
          return [text(TEXTS[random.below(TEXTS.length)]), record];
        case 3: {
          const changed = record.slice();
          changed[random.below(changed.length)] = random.below(256);
          return [changed];
        }
        default:
          return [record];
      }
    });
    for (let round = 0; round < 15; round += 1) {
      world.start();
      world.clock.advanceBy(random.below(20_000));
      hostile.run(hostile.multi.renegotiate(world.clock.now(), 'bytes'));
      world.clock.advanceBy(random.below(70_000));
      expect(victim.keys.size).toBeLessThanOrEqual(3);
      world.client.restart();
    }
  });

  test('floods an established connection with everything there is, and it stands', () => {
    const { world, victim, send } = story(role, 3, (record) => [record]);
    world.connect();
    world.clock.advanceBy(1000);
    const asked = victim.all('push-request').length;
    for (let round = 0; round < 40; round += 1) {
      for (const message of TEXTS) if (!ENDING.test(message)) send(text(message));
      world.clock.advanceBy(500);
    }
    world.clock.advanceBy(5000);
    expect(victim.multi.connected).toBe(true);
    expect(victim.all('connected')).toHaveLength(1);
    // The options were asked for once, and once more of a client that had them.
    expect(victim.all('push-request').length).toBe(asked);
    expect(victim.all('session-lost')).toEqual([]);
    expect(victim.logged('control.invalid-characters').length).toBeGreaterThan(0);
    world.client.sendData();
    world.server.sendData();
    world.clock.advanceBy(1000);
    expect(victim.received).toBeGreaterThan(0);
  });

  test.each(TEXTS.filter((message) => ENDING.test(message)).map((message) => [message] as const))(
    'says %j a hundred times: it counts once',
    (message) => {
      const { world, victim, send } = story(role, 5, (record) => [record]);
      world.connect();
      world.clock.advanceBy(1000);
      for (let count = 0; count < 100; count += 1) send(text(message));
      world.clock.advanceBy(20_000);
      const ends = ['auth-failed', 'restart', 'exit'] as const;
      expect(ends.flatMap((type) => victim.all(type)).length).toBeLessThanOrEqual(1);
    },
  );
});
