import type { Random } from '@openvpnd/sans-io';
import { Secret } from '@openvpnd/sans-io';
import {
  type ControlPacket,
  emitControlPacket,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  parseControlPacket,
  parseEarlyNegotiation,
} from '@openvpnd/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ControlWrap,
  type ControlWrapFactory,
  type FirstPacketVerdict,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  plainWraps,
  StatelessHandshake,
  type StatelessHandshakeOptions,
  tlsAuthWraps,
  tlsCryptV2ClientWraps,
  tlsCryptV2ServerWraps,
  tlsCryptWraps,
} from '../src/index.js';
import { ResetLimit } from '../src/reset-limit.js';
import { SessionCookies } from '../src/session-cookie.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

/** The same bytes in every run, different ones in every call. */
function seeded(seed = 1): Random {
  let state = seed;
  return {
    fill(target) {
      for (let i = 0; i < target.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        target[i] = state >>> 24;
      }
    },
  };
}

const START = 1_000_000;
const UNIX_AT_START = 1_700_000_000;
const CLIENT_SID = fromHex('0102030405060708');

function ipv4(text: string, port = 1194, link = 1): Uint32Array {
  const host = text.split('.').reduce((word, part) => ((word << 8) | Number(part)) >>> 0, 0);
  return Uint32Array.of(4, port, host, 0, 0, 0, 0, link);
}

const CLIENT = ipv4('203.0.113.7', 40000);

function serverOver(wraps: ControlWrapFactory, options: Partial<StatelessHandshakeOptions> = {}): StatelessHandshake {
  return new StatelessHandshake({
    wraps,
    random: seeded(),
    unixTime: (now) => UNIX_AT_START + Math.floor((now - START) / 1000),
    ...options,
  });
}

function packet(opcode: number, fields: Partial<ControlPacket> = {}): Uint8Array {
  return emitControlPacket({
    opcode,
    keyId: 0,
    sessionId: CLIENT_SID,
    acks: [],
    ...(opcode !== P_ACK_V1 && { messageId: 0 }),
    payload: new Uint8Array(0),
    ...fields,
  });
}

function replyOf(verdict: FirstPacketVerdict): Uint8Array {
  if (verdict.type !== 'reply') throw new Error(JSON.stringify(verdict));
  return verdict.packet;
}

const fileKey = new Secret(Uint8Array.from({ length: 256 }, (_, i) => i));
const serverKey = generateTlsCryptV2ServerKey(seeded(2));
const clientKey = generateTlsCryptV2ClientKey(seeded(3), serverKey, { type: 'timestamp', unixSeconds: 5 });

interface Carrier {
  readonly name: string;
  readonly server: ControlWrapFactory;
  readonly client: ControlWrapFactory;
  readonly reset: number;
  readonly answer: number;
}

const carriers: Carrier[] = [
  {
    name: 'no wrapping',
    server: plainWraps(),
    client: plainWraps(),
    reset: P_CONTROL_HARD_RESET_CLIENT_V2,
    answer: P_CONTROL_V1,
  },
  {
    name: 'tls-auth',
    server: tlsAuthWraps({ key: fileKey, direction: 'normal', digest: 'SHA256' }),
    client: tlsAuthWraps({ key: fileKey, direction: 'inverse', digest: 'SHA256' }),
    reset: P_CONTROL_HARD_RESET_CLIENT_V2,
    answer: P_CONTROL_V1,
  },
  {
    name: 'tls-crypt',
    server: tlsCryptWraps({ key: fileKey, role: 'server' }),
    client: tlsCryptWraps({ key: fileKey, role: 'client' }),
    reset: P_CONTROL_HARD_RESET_CLIENT_V2,
    answer: P_CONTROL_V1,
  },
  {
    name: 'tls-crypt-v2',
    server: tlsCryptV2ServerWraps({ serverKey }),
    client: tlsCryptV2ClientWraps({ clientKey }),
    reset: P_CONTROL_HARD_RESET_CLIENT_V3,
    answer: P_CONTROL_WKC_V1,
  },
];

/** Lets a client say hello, and answers what it needs to go on. */
function begin(carrier: Carrier, options: Partial<StatelessHandshakeOptions> = {}, now = START, from = CLIENT) {
  const server = serverOver(carrier.server, options);
  const client = carrier.client.create(UNIX_AT_START);
  const verdict = server.handleFirstPacket(now, client.wrap(packet(carrier.reset)), from);
  const reply = value(parseControlPacket(value(client.unwrap(now, replyOf(verdict)))));
  const answer = (fields: Partial<ControlPacket> = {}, opcode = carrier.answer): Uint8Array =>
    client.wrap(
      packet(opcode, {
        acks: [0],
        remoteSessionId: reply.sessionId,
        ...(opcode !== P_ACK_V1 && { messageId: 1, payload: fromHex('160301') }),
        ...fields,
      }),
    );
  return { server, client, reply, answer };
}

describe.each(carriers)('over $name', (carrier) => {
  test('reset, reset, answer: the session exists', () => {
    const { server, client, reply, answer } = begin(carrier);
    expect(reply.opcode).toBe(P_CONTROL_HARD_RESET_SERVER_V2);
    expect(reply.keyId).toBe(0);
    expect(reply.acks).toEqual([0]);
    expect(reply.messageId).toBe(0);
    expect(reply.remoteSessionId).toEqual(CLIENT_SID);
    const wantsKey = carrier.reset === P_CONTROL_HARD_RESET_CLIENT_V3;
    expect(value(parseEarlyNegotiation(reply.payload)).resendWkc).toBe(wantsKey);

    const verdict = server.handleFirstPacket(START + 500, answer(), CLIENT);
    if (verdict.type !== 'accept') throw new Error(JSON.stringify(verdict));
    expect(verdict.sessionId).toEqual(reply.sessionId);
    expect(verdict.peerSessionId).toEqual(CLIENT_SID);
    expect(value(parseControlPacket(verdict.packet))).toMatchObject({
      opcode: carrier.answer,
      messageId: 1,
      acks: [0],
    });

    // The wrap goes on: our packet is the second one, and the client's packets are not taken twice.
    const next = packet(P_CONTROL_V1, { messageId: 1 });
    const wrapped = verdict.wrap.wrap(next);
    expect(value(client.unwrap(START + 600, wrapped))).toEqual(next);
    if (carrier.name === 'no wrapping') return;
    expect(client.unwrap(START + 600, wrapped).ok).toBe(false);
    const offset = carrier.name === 'tls-auth' ? 9 + 32 : 9;
    expect(toHex(wrapped.subarray(offset, offset + 4))).toBe('00000002');
    const later = client.wrap(packet(P_CONTROL_V1, { messageId: 2 }));
    expect(verdict.wrap.unwrap(START + 700, later).ok).toBe(true);
    expect(verdict.wrap.unwrap(START + 700, later).ok).toBe(false);
  });

  test('the reply is small, one for each request, and the same in the same second', () => {
    const server = serverOver(carrier.server);
    const request = carrier.client.create(UNIX_AT_START).wrap(packet(carrier.reset));
    const replies = [0, 1, 2].map((ms) => toHex(replyOf(server.handleFirstPacket(START + ms, request, CLIENT))));
    expect(new Set(replies).size).toBe(1);
    expect(replies[0]!.length / 2).toBeLessThanOrEqual(2 * request.length);
  });

  test('an acknowledgement alone is an answer, where it can be opened', () => {
    const { server, answer } = begin(carrier);
    const verdict = server.handleFirstPacket(START, answer({}, P_ACK_V1), CLIENT);
    expect(verdict.type).toBe(carrier.name === 'tls-crypt-v2' ? 'drop' : 'accept');
  });

  test('every byte of a reset and of an answer counts, or changes nothing that matters', () => {
    if (carrier.name === 'no wrapping') return;
    const { server, client, answer } = begin(carrier);
    for (const good of [client.wrap(packet(carrier.reset)), answer()]) {
      for (let i = 0; i < good.length; i++) {
        const changed = good.slice();
        changed[i]! ^= 0x10;
        expect(server.handleFirstPacket(START, changed, CLIENT).type).toBe('drop');
        expect(server.handleFirstPacket(START, good.subarray(0, i), CLIENT).type).toBe('drop');
      }
    }
  });

  describe('an answer is refused', () => {
    const refused = (fields: Partial<ControlPacket>, now = START, from = CLIENT): FirstPacketVerdict => {
      const { server, answer } = begin(carrier);
      return server.handleFirstPacket(now, answer(fields), from);
    };

    test('but not one that is right', () => {
      expect(refused({}).type).toBe('accept');
      expect(refused({ acks: [0, 1] }).type).toBe('accept');
      expect(refused({ messageId: 0 }).type).toBe('accept');
    });

    test('with a random cookie', () => {
      expect(refused({ remoteSessionId: fromHex('dd85db535623b02e') })).toEqual({ type: 'drop', reason: 'cookie' });
      expect(refused({ remoteSessionId: new Uint8Array(8) })).toEqual({ type: 'drop', reason: 'cookie' });
    });

    test('with any bit of the cookie changed', () => {
      const { server, reply, answer } = begin(carrier);
      for (let bit = 0; bit < 64; bit++) {
        const remoteSessionId = reply.sessionId.slice();
        remoteSessionId[bit >> 3]! ^= 1 << (bit & 7);
        expect(server.handleFirstPacket(START, answer({ remoteSessionId }), CLIENT)).toEqual({
          type: 'drop',
          reason: 'cookie',
        });
      }
    });

    test('from another address, port, family, scope or link', () => {
      for (let word = 0; word < 8; word++) {
        const from = CLIENT.slice();
        from[word]! ^= 1;
        expect(refused({}, START, from)).toEqual({ type: 'drop', reason: 'cookie' });
      }
    });

    test('with another session id', () => {
      expect(refused({ sessionId: fromHex('0102030405060709') })).toEqual({ type: 'drop', reason: 'cookie' });
      expect(refused({ sessionId: new Uint8Array(8) })).toEqual({ type: 'drop', reason: 'zero-session-id' });
    });

    test('without an acknowledgement', () => {
      const { server, client } = begin(carrier);
      const bare = client.wrap(packet(carrier.answer, { messageId: 1 }));
      expect(server.handleFirstPacket(START, bare, CLIENT)).toEqual({ type: 'drop', reason: 'cookie' });
    });

    test('with ids above 1', () => {
      expect(refused({ acks: [2] })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ acks: [0, 1, 2] })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ acks: [0xffff_ffff] })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ messageId: 2 })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ messageId: 0xffff_ffff })).toEqual({ type: 'drop', reason: 'message-id' });
    });

    test('with another key id', () => {
      for (let keyId = 1; keyId <= 7; keyId++)
        expect(refused({ keyId })).toEqual({ type: 'drop', reason: 'not-initial' });
    });

    test('by another server', () => {
      const { answer } = begin(carrier);
      const other = serverOver(carrier.server, { random: seeded(99) });
      expect(other.handleFirstPacket(START, answer(), CLIENT)).toEqual({ type: 'drop', reason: 'cookie' });
    });

    test('too late, and from the future', () => {
      // 60 s of hand-window make slots of 30 s; START is not at the edge of one.
      const slot = 30_000;
      const begun = Math.floor(START / slot) * slot;
      expect(refused({}, begun + 3 * slot - 1).type).toBe('accept');
      expect(refused({}, begun + 3 * slot)).toEqual({ type: 'drop', reason: 'cookie' });
      expect(refused({}, begun + 4 * slot)).toEqual({ type: 'drop', reason: 'cookie' });
      expect(refused({}, begun).type).toBe('accept');
      expect(refused({}, begun - 1)).toEqual({ type: 'drop', reason: 'cookie' });
      expect(refused({}, begun - slot)).toEqual({ type: 'drop', reason: 'cookie' });
    });
  });

  describe('a reset is refused', () => {
    const refused = (fields: Partial<ControlPacket>): FirstPacketVerdict =>
      serverOver(carrier.server).handleFirstPacket(
        START,
        carrier.client.create(UNIX_AT_START).wrap(packet(carrier.reset, fields)),
        CLIENT,
      );

    test('but not one that is right', () => {
      expect(refused({}).type).toBe('reply');
      expect(refused({ payload: fromHex('000900020000') }).type).toBe('reply');
    });

    test('with another key id, message id, a zero session id, or a payload that is no TLV', () => {
      for (let keyId = 1; keyId <= 7; keyId++)
        expect(refused({ keyId })).toEqual({ type: 'drop', reason: 'not-initial' });
      expect(refused({ messageId: 1 })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ messageId: 0xffff_ffff })).toEqual({ type: 'drop', reason: 'message-id' });
      expect(refused({ sessionId: new Uint8Array(8) })).toEqual({ type: 'drop', reason: 'zero-session-id' });
      expect(refused({ payload: fromHex('4141414141') })).toEqual({ type: 'drop', reason: 'malformed' });
    });

    test('with another key', () => {
      if (carrier.name === 'no wrapping') return;
      const strangers: Record<string, ControlWrapFactory> = {
        'tls-auth': tlsAuthWraps({ key: new Secret(new Uint8Array(256)), direction: 'inverse', digest: 'SHA256' }),
        'tls-crypt': tlsCryptWraps({ key: new Secret(new Uint8Array(256)), role: 'client' }),
        'tls-crypt-v2': tlsCryptV2ClientWraps({
          clientKey: generateTlsCryptV2ClientKey(seeded(7), generateTlsCryptV2ServerKey(seeded(8)), { type: 'none' }),
        }),
      };
      const request = strangers[carrier.name]!.create(UNIX_AT_START).wrap(packet(carrier.reset));
      expect(serverOver(carrier.server).handleFirstPacket(START, request, CLIENT)).toEqual({
        type: 'drop',
        reason: 'unauthenticated',
        detail: expect.stringContaining('authentication failed'),
      });
    });
  });

  test('any bytes are dropped, or answered with one reset', () => {
    const server = serverOver(carrier.server, {
      resetLimit: new ResetLimit({ replies: 1e9, periodSeconds: 10, repliesPerPrefix: 0 }, seeded()),
    });
    const first = fc.constantFrom(0x38, 0x50, 0x20, 0x28, 0x58, 0x40, 0x48, 0x30, 0x18);
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 80 }), (opcode, rest) => {
        const verdict = server.handleFirstPacket(START, Uint8Array.of(opcode, ...rest), CLIENT);
        if (carrier.name !== 'no wrapping') expect(verdict.type).toBe('drop');
        else if (verdict.type === 'reply') expect(opcode).toBe(0x38);
        else expect(verdict.type).toBe('drop');
      }),
      { seed: 1, numRuns: 400 },
    );
    for (const length of [0, 1, 9, 65507]) {
      expect(server.handleFirstPacket(START, new Uint8Array(length).fill(0x50), CLIENT).type).toBe('drop');
    }
  });
});

describe('packets of others', () => {
  const cases = [
    ...vectors('pkt_parse_first').map(([id, v]) => [id, v.inputs.packet] as const),
    ...vectors('session_cookie')
      .filter(([, v]) => v.inputs.packet)
      .map(([id, v]) => [id, v.inputs.packet] as const),
  ];
  test.each(cases)('%s makes no session', (id, hex) => {
    const verdict = serverOver(plainWraps()).handleFirstPacket(START, fromHex(hex), CLIENT);
    expect(verdict.type).toBe(id === 'client_reset_v2_none' ? 'reply' : 'drop');
  });

  test.each(Array.from({ length: 32 }, (_, opcode) => opcode))('opcode %i alone is dropped', (opcode) => {
    for (const wraps of carriers.map((carrier) => carrier.server)) {
      expect(serverOver(wraps).handleFirstPacket(START, Uint8Array.of(opcode << 3), CLIENT).type).toBe('drop');
    }
  });

  test('an opcode of tls-crypt-v2 means nothing without it', () => {
    for (const carrier of carriers.slice(0, 3)) {
      const { server, answer } = begin(carrier);
      const dropped = { type: 'drop', reason: 'not-initial', detail: 'tls-crypt-v2: no server key' };
      expect(server.handleFirstPacket(START, answer({}, P_CONTROL_WKC_V1), CLIENT)).toEqual(dropped);
      const reset = carrier.client.create(1).wrap(packet(P_CONTROL_HARD_RESET_CLIENT_V3));
      expect(server.handleFirstPacket(START, reset, CLIENT)).toEqual(dropped);
    }
  });
});

describe('clients of 2.5 with tls-crypt-v2', () => {
  const [, , , carrier] = carriers;
  const reset = tlsCryptV2ClientWraps({ clientKey }).create(UNIX_AT_START, 1).wrap(packet(carrier!.reset));

  test('begin a session at once', () => {
    expect(serverOver(carrier!.server).handleFirstPacket(START, reset, CLIENT)).toEqual({
      type: 'stateful',
      metadata: expect.anything(),
    });
  });

  test('unless a cookie is wanted', () => {
    const server = serverOver(carrier!.server, { forceCookie: true });
    expect(server.handleFirstPacket(START, reset, CLIENT)).toEqual({ type: 'drop', reason: 'cookie-unsupported' });
    expect(begin(carrier!, { forceCookie: true }).reply.opcode).toBe(P_CONTROL_HARD_RESET_SERVER_V2);
  });

  test('and count as replies do', () => {
    const resetLimit = new ResetLimit({ replies: 1, periodSeconds: 10, repliesPerPrefix: 0 }, seeded());
    const server = serverOver(carrier!.server, { resetLimit });
    expect(server.handleFirstPacket(START, reset, CLIENT).type).toBe('stateful');
    expect(server.handleFirstPacket(START, reset, CLIENT)).toEqual({ type: 'drop', reason: 'rate-limit' });
  });
});

describe('vectors of the cookie', () => {
  test('cookie-window', () => {
    const { inputs, expected } = vectors('session_cookie').find(([id]) => id === 'cookie-window')![1];
    const cookies = new SessionCookies({ random: seeded(), handshakeWindowSeconds: inputs.handwindow });
    const cookie = cookies.make(inputs.made_at * 1000, CLIENT, CLIENT_SID);
    expect(inputs.probe.map((second: number) => cookies.check(second * 1000, CLIENT, CLIENT_SID, cookie))).toEqual(
      expected.valid,
    );
  });

  test('a window of one second still has slots', () => {
    const cookies = new SessionCookies({ random: seeded(), handshakeWindowSeconds: 0 });
    const cookie = cookies.make(0, CLIENT, CLIENT_SID);
    expect(cookies.check(2999, CLIENT, CLIENT_SID, cookie)).toBe(true);
    expect(cookies.check(3000, CLIENT, CLIENT_SID, cookie)).toBe(false);
    expect(cookies.check(0, CLIENT, CLIENT_SID, cookie.subarray(0, 7))).toBe(false);
  });
});

describe('the rules of a cookie', () => {
  type Check = SessionCookies['check'];
  const slot = 30_000;
  const begun = Math.floor(START / slot) * slot;

  /** The rules that a check breaks. The mutants below show that the list has teeth. */
  function broken(mutate: (right: Check, cookies: SessionCookies) => Check): string[] {
    const cookies = new SessionCookies({ random: seeded(), handshakeWindowSeconds: 60 });
    const check = mutate(cookies.check.bind(cookies), cookies);
    const cookie = cookies.make(begun, CLIENT, CLIENT_SID);
    const changed = (bytes: Uint8Array, i: number): Uint8Array => bytes.map((byte, j) => (i === j ? byte ^ 1 : byte));
    const moved = (word: number): Uint32Array => CLIENT.map((value, i) => (i === word ? value ^ 1 : value));
    const rules: [string, boolean, boolean][] = [
      ['in its slot', check(begun, CLIENT, CLIENT_SID, cookie), true],
      ['one slot later', check(begun + slot, CLIENT, CLIENT_SID, cookie), true],
      ['two slots later', check(begun + 2 * slot, CLIENT, CLIENT_SID, cookie), true],
      ['three slots later', check(begun + 3 * slot, CLIENT, CLIENT_SID, cookie), false],
      ['one slot earlier', check(begun - 1, CLIENT, CLIENT_SID, cookie), false],
      ['a random cookie', check(begun, CLIENT, CLIENT_SID, fromHex('dd85db535623b02e')), false],
      ['another host', check(begun, moved(2), CLIENT_SID, cookie), false],
      ['another port', check(begun, moved(1), CLIENT_SID, cookie), false],
      ['another session id', check(begun, CLIENT, changed(CLIENT_SID, 7), cookie), false],
      ...Array.from({ length: 8 }, (_, i): [string, boolean, boolean] => [
        `byte ${i} changed`,
        check(begun, CLIENT, CLIENT_SID, changed(cookie, i)),
        false,
      ]),
    ];
    return rules.filter(([, is, should]) => is !== should).map(([rule]) => rule);
  }

  test('hold', () => {
    expect(broken((right) => right)).toEqual([]);
  });

  // OpenVPN shipped an inverted comparison of cookies for three years.
  test.each<[string, (right: Check, cookies: SessionCookies) => Check]>([
    [
      'an inverted comparison',
      (right) =>
        (...args) =>
          !right(...args),
    ],
    ['no comparison', () => () => true],
    ['no way in', () => () => false],
    [
      'future slots',
      (right) =>
        (now, ...rest) =>
          right(now, ...rest) || right(now + slot, ...rest),
    ],
    [
      'a slot too many',
      (right) =>
        (now, ...rest) =>
          right(now, ...rest) || right(now - slot, ...rest),
    ],
    ['the current slot alone', (_right, c) => (now, a, sid, cookie) => toHex(c.make(now, a, sid)) === toHex(cookie)],
    [
      'a port left out',
      (right) =>
        (now, a, ...rest) =>
          right(now, Uint32Array.from([4, CLIENT[1]!, ...a.subarray(2)]), ...rest),
    ],
    ['a session id left out', (right) => (now, a, _sid, cookie) => right(now, a, CLIENT_SID, cookie)],
    [
      'seven bytes compared',
      (_right, c) => (now, a, sid, cookie) =>
        [0, 1, 2].some((age) => toHex(c.make(now - age * slot, a, sid)).slice(0, 14) === toHex(cookie).slice(0, 14)),
    ],
  ])('%s breaks them', (_name, mutate) => {
    expect(broken(mutate)).not.toEqual([]);
  });
});

test('replies to different clients do not mix', () => {
  const server = serverOver(plainWraps());
  const replies = new Map<string, string>();
  const clients = Array.from({ length: 50 }, (_, i) => ipv4(`198.51.100.${i}`, 5000 + i, i % 2));
  for (const from of [...clients, ...clients.toReversed()]) {
    const sessionId = Uint8Array.from({ length: 8 }, () => from[1]! & 0xff);
    const request = packet(P_CONTROL_HARD_RESET_CLIENT_V2, { sessionId });
    const verdict = server.handleFirstPacket(START, request, from);
    if (verdict.type !== 'reply') continue;
    const reply = value(parseControlPacket(verdict.packet));
    expect(reply.remoteSessionId).toEqual(sessionId);
    replies.set(from.join(), toHex(reply.sessionId));
  }
  expect(new Set(replies.values()).size).toBe(replies.size);
});

test('nothing is kept: the wrap of a reset that is not answered is closed', () => {
  const closed: string[] = [];
  const watched: ControlWrapFactory = {
    name: 'none',
    create(...args) {
      const wrap: ControlWrap = plainWraps().create(...args);
      return { ...wrap, close: () => void closed.push('closed') };
    },
  };
  const server = serverOver(watched);
  server.handleFirstPacket(START, packet(P_CONTROL_HARD_RESET_CLIENT_V2), CLIENT);
  server.handleFirstPacket(START, packet(P_CONTROL_V1), CLIENT);
  expect(closed).toHaveLength(2);
});
