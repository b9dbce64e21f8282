import { NEVER } from '@openvpnd/sans-io';
import { FakeTlsFactory } from '@openvpnd/testkit';
import {
  type ControlPacket,
  emitEarlyNegotiation,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
} from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';
import { CLIENT_SESSION, connected, exchange, SERVER_SESSION, Side, summary } from './two-sides.js';

const NOTHING = new Uint8Array(0);

/** A packet of the server for our client, plain. */
function fromServer(fields: Partial<ControlPacket>): ControlPacket {
  return {
    opcode: P_CONTROL_HARD_RESET_SERVER_V2,
    keyId: 0,
    sessionId: SERVER_SESSION,
    acks: [],
    ...(fields.acks !== undefined && fields.acks.length > 0 && { remoteSessionId: CLIENT_SESSION }),
    ...(fields.opcode !== P_ACK_V1 && { messageId: 0 }),
    payload: NOTHING,
    ...fields,
  };
}

function startedClient(options = {}, engines = new FakeTlsFactory()): Side {
  const client = new Side('client', engines, options);
  client.take(client.control.start(0));
  client.takeSent();
  return client;
}

describe('the start of a session', () => {
  it('goes reset, reset with ack, ClientHello with ack, and needs no bare ack before TLS', () => {
    const client = new Side('client', new FakeTlsFactory({ seed: 1 }));
    const server = new Side('server', new FakeTlsFactory({ seed: 2 }));
    expect(client.control.state).toBe('S_INITIAL');
    client.take(client.control.start(0));
    expect(client.control.state).toBe('S_PRE_START');
    exchange(0, client, server);
    expect(client.sent.map(summary)).toEqual([
      'HARD_RESET_CLIENT_V2 0 [] 0',
      'V1 1 [0] 330',
      'ACK_V1 - [1,0] 0',
      'V1 2 [2,1,0] 1160',
      'V1 3 [2,1,0] 540',
    ]);
    expect(server.sent.map(summary)).toEqual([
      'HARD_RESET_SERVER_V2 0 [0] 0',
      'V1 1 [1,0] 1160',
      'V1 2 [1,0] 740',
      'ACK_V1 - [2,1,0] 0',
      'ACK_V1 - [3,2,1,0] 0',
    ]);
    for (const side of [client, server]) {
      expect(side.control.state).toBe('S_START');
      expect(side.control.secure).toBe(true);
      expect(side.all('secure')).toHaveLength(1);
      expect(side.control.allAcked()).toBe(true);
      expect(side.control.nextTimeout()).toBe(NEVER);
    }
    expect(server.control.remoteSessionId).toEqual(CLIENT_SESSION);
    expect(client.control.exportKeyingMaterial('l', 8)).toEqual(server.control.exportKeyingMaterial('l', 8));
  });

  it('takes reset and ack in separate packets, and starts TLS only with the ack', () => {
    const client = startedClient();
    client.take(client.control.handlePacket(0, fromServer({})));
    expect(client.takeSent().map(summary)).toEqual(['HARD_RESET_CLIENT_V2 0 [0] 0']);
    expect(client.control.state).toBe('S_PRE_START');
    client.take(client.control.handlePacket(1, fromServer({ opcode: P_ACK_V1, acks: [0] })));
    expect(client.takeSent().map(summary)).toEqual(['V1 1 [0] 330']);
  });

  it('takes the ack before the reset, but not one for another session', () => {
    const client = startedClient();
    const ack = fromServer({ opcode: P_ACK_V1, acks: [0] });
    client.take(client.control.handlePacket(0, { ...ack, remoteSessionId: SERVER_SESSION }));
    expect(client.control.state).toBe('S_PRE_START');
    client.take(client.control.handlePacket(0, ack));
    expect(client.control.state).toBe('S_START');
    expect(client.control.remoteSessionId).toBeUndefined();
    expect(client.takeSent().map(summary)).toEqual(['V1 1 [] 330']);
    client.take(client.control.handlePacket(1, fromServer({})));
    expect(client.control.remoteSessionId).toEqual(SERVER_SESSION);
  });

  it('sends everything once more at once when the peer is heard for the first time, and only then', () => {
    const server = new Side('server', new FakeTlsFactory());
    server.take(server.control.start(0));
    const reset = { ...fromServer({}), opcode: P_CONTROL_HARD_RESET_CLIENT_V2, sessionId: CLIENT_SESSION };
    server.takeSent();
    server.take(server.control.handlePacket(10, reset));
    expect(server.takeSent().map(summary)).toEqual(['HARD_RESET_SERVER_V2 0 [0] 0']);
    server.take(server.control.handlePacket(20, reset));
    expect(server.takeSent().map(summary)).toEqual(['ACK_V1 - [0] 0']);
  });

  it('goes on after a stateless handshake with message id 1', () => {
    const server = new Side('server', new FakeTlsFactory({ seed: 2 }), {
      startOpcode: undefined,
      nextSendId: 1,
      nextReceiveId: 1,
      remoteSessionId: CLIENT_SESSION,
    });
    const client = startedClient();
    client.take(client.control.handlePacket(0, fromServer({ acks: [0] })));
    exchange(0, client, server);
    expect(server.sent.map(summary).slice(0, 2)).toEqual(['V1 1 [1] 1160', 'V1 2 [1] 740']);
    expect(server.control.secure && client.control.secure).toBe(true);
  });

  it('makes a soft reset with the next key id', () => {
    const engines = [new FakeTlsFactory({ seed: 5 }), new FakeTlsFactory({ seed: 6 })] as const;
    const soft = { keyId: 1, startOpcode: P_CONTROL_SOFT_RESET_V1 };
    const client = new Side('client', engines[0], { ...soft, remoteSessionId: SERVER_SESSION });
    const server = new Side('server', engines[1], { ...soft, remoteSessionId: CLIENT_SESSION });
    // The TLS server starts it; the TLS client still begins TLS.
    server.take(server.control.start(0));
    exchange(0, server, client);
    expect(server.sent[0]).toMatchObject({ opcode: P_CONTROL_SOFT_RESET_V1, keyId: 1, messageId: 0 });
    expect(client.sent[0]).toMatchObject({ opcode: P_CONTROL_SOFT_RESET_V1, keyId: 1, messageId: 0, acks: [0] });
    expect(client.control.secure && server.control.secure).toBe(true);
  });

  it('fails when the first message is no reset, or its payload is malformed', () => {
    const client = startedClient();
    client.take(client.control.handlePacket(0, fromServer({ acks: [0], payload: Uint8Array.of(0, 1, 0) })));
    expect(client.all('failed')).toHaveLength(1);
    expect(client.control.state).toBe('S_ERROR');
    expect(client.control.nextTimeout()).toBe(NEVER);
    expect(client.control.handlePacket(1, fromServer({}))).toEqual([]);

    const soft = new Side('server', new FakeTlsFactory(), {
      startOpcode: P_CONTROL_SOFT_RESET_V1,
      remoteSessionId: CLIENT_SESSION,
    });
    soft.take(soft.control.handlePacket(0, { ...fromServer({ opcode: P_CONTROL_V1 }), sessionId: CLIENT_SESSION }));
    expect(soft.all('failed')).toHaveLength(1);
  });
});

describe('tls-crypt-v2', () => {
  const askForKey = fromServer({ acks: [0], payload: emitEarlyNegotiation({ resendWkc: true }) });

  it.each([
    { wrappedClientKeyBytes: 290, payload: 330 },
    { wrappedClientKeyBytes: 1000, payload: 160 },
    { wrappedClientKeyBytes: 1160, payload: 0 },
  ])(
    'repeats a key of $wrappedClientKeyBytes bytes with message 1, whenever it is sent',
    ({ wrappedClientKeyBytes, payload }) => {
      const client = startedClient({ startOpcode: P_CONTROL_HARD_RESET_CLIENT_V3, wrappedClientKeyBytes });
      client.take(client.control.handlePacket(0, askForKey));
      const first = client.takeSent();
      expect(first[0]).toMatchObject({ opcode: P_CONTROL_WKC_V1, messageId: 1, acks: [0] });
      expect(first[0]!.payload).toHaveLength(payload);
      expect(first.slice(1).map(summary)).toEqual(payload < 330 ? [`V1 2 [0] ${330 - payload}`] : []);
      client.take(client.control.handleTimeout(5000));
      expect(client.takeSent()[0]).toMatchObject({ opcode: P_CONTROL_WKC_V1, messageId: 1 });
    },
  );

  it('holds the ack back until the ClientHello is there', () => {
    const appear: (() => void)[] = [];
    const engines = new FakeTlsFactory({ defer: (later) => appear.push(later) });
    const client = startedClient({ startOpcode: P_CONTROL_HARD_RESET_CLIENT_V3, wrappedClientKeyBytes: 290 }, engines);
    client.take(client.control.handlePacket(0, askForKey));
    client.take(client.control.handlePacket(0, askForKey));
    expect(client.takeSent()).toEqual([]);
    appear.pop()?.();
    expect(client.woken).toBe(true);
    client.take(client.control.handleWake(1));
    expect(client.takeSent().map(summary)).toEqual(['WKC_V1 1 [0] 330']);
  });

  it('repeats nothing unless the server asks, or where there is no key', () => {
    const without = startedClient();
    without.take(without.control.handlePacket(0, askForKey));
    expect(without.takeSent().map(summary)).toEqual(['V1 1 [0] 330']);
    const unasked = startedClient({ startOpcode: P_CONTROL_HARD_RESET_CLIENT_V3, wrappedClientKeyBytes: 290 });
    unasked.take(unasked.control.handlePacket(0, fromServer({ acks: [0] })));
    expect(unasked.takeSent().map(summary)).toEqual(['V1 1 [0] 330']);
  });
});

describe('packets that are dropped', () => {
  const reset = fromServer({ acks: [0] });
  it.each([
    ['key-id', { keyId: 1 }],
    ['direction', { opcode: P_CONTROL_HARD_RESET_CLIENT_V2 }],
    ['direction', { opcode: P_CONTROL_HARD_RESET_CLIENT_V3 }],
    ['direction', { opcode: P_CONTROL_WKC_V1 }],
    ['ack-session-id', { remoteSessionId: SERVER_SESSION }],
    ['ack-session-id', { remoteSessionId: new Uint8Array(8) }],
    ['session-id', { opcode: P_CONTROL_V1 }],
    ['session-id', { opcode: P_CONTROL_SOFT_RESET_V1 }],
    ['session-id', { opcode: P_ACK_V1, acks: [], remoteSessionId: undefined, messageId: undefined }],
    ['reset-message-id', { messageId: 1 }],
  ] as const)('%s %o', (reason, change) => {
    const client = startedClient();
    const drops = { ...client.control.drops, [reason]: 1 };
    client.take(client.control.handlePacket(0, { ...reset, ...change } as ControlPacket));
    expect(client.control.drops).toEqual(drops);
    expect(client.takeSent()).toEqual([]);
    expect(client.control.state).toBe('S_PRE_START');
    client.take(client.control.handlePacket(0, reset));
    expect(client.control.state).toBe('S_START');
  });

  it('a reset of the server, at a server', () => {
    const server = new Side('server', new FakeTlsFactory());
    server.take(server.control.handlePacket(0, fromServer({})));
    expect(server.control.drops.direction).toBe(1);
    expect(server.control.state).toBe('S_INITIAL');
  });

  it('another session id, once the peer is known', () => {
    const [client, server] = connected();
    server.take(server.control.sendMessage(1, Uint8Array.of(1)));
    const [packet] = server.takeSent();
    client.take(client.control.handlePacket(1, { ...packet!, sessionId: CLIENT_SESSION }));
    expect(client.control.drops['session-id']).toBe(1);
    expect(client.all('plaintext')).toEqual([]);
    client.take(client.control.handlePacket(1, packet!));
    expect(client.all('plaintext')).toHaveLength(1);
  });

  it('a message beyond the window, whose acks count all the same', () => {
    const client = startedClient();
    client.take(client.control.handlePacket(0, fromServer({ acks: [] })));
    client.takeSent();
    client.take(client.control.handlePacket(0, fromServer({ opcode: P_CONTROL_V1, messageId: 100, acks: [0] })));
    expect(client.control.drops['out-of-window']).toBe(1);
    expect(client.control.state).toBe('S_START');
    expect(client.takeSent()[0]?.acks).toEqual([0]);
  });
});

describe('messages', () => {
  it('arrive with their boundaries, and are acknowledged', () => {
    const [client, server] = connected();
    client.take(client.control.sendMessage(1, Uint8Array.of(1, 2)));
    client.take(client.control.sendMessage(1, new Uint8Array(4000).fill(7)));
    expect(client.control.allAcked()).toBe(false);
    exchange(1, client, server);
    expect(server.all('plaintext').map(({ bytes }) => bytes.length)).toEqual([2, 4000]);
    expect(client.control.allAcked()).toBe(true);
  });

  it('stay below the packet size, acks and wrapping included', () => {
    for (const maxPacketBytes of [154, 500, 1250, 2048]) {
      const [client, server] = connected({ client: { maxPacketBytes }, server: { maxPacketBytes } });
      client.take(client.control.sendMessage(1, new Uint8Array(10_000)));
      server.take(server.control.sendMessage(1, new Uint8Array(10_000)));
      exchange(1, client, server);
      for (const side of [client, server]) {
        expect(side.all('plaintext')).toHaveLength(1);
        expect(Math.max(...side.sizes)).toBeLessThanOrEqual(maxPacketBytes - 48);
        expect(Math.max(...side.sizes)).toBeGreaterThan(maxPacketBytes - 48 - 9);
      }
    }
  });

  it('are not acknowledged before asynchronous TLS has made packets of them', () => {
    const appear: (() => void)[] = [];
    const defer = (later: () => void): void => void appear.push(later);
    const client = new Side('client', new FakeTlsFactory({ seed: 1, defer }));
    const server = new Side('server', new FakeTlsFactory({ seed: 2, defer }));
    const settle = (now: number): void => {
      for (let turn = 0; turn < 20; turn += 1) {
        for (const later of appear.splice(0)) later();
        for (const side of [client, server]) side.take(side.control.handleWake(now));
        exchange(now, client, server);
      }
    };
    client.take(client.control.start(0));
    settle(0);
    expect(client.control.secure && server.control.secure).toBe(true);
    expect(client.control.allAcked()).toBe(true);
    client.take(client.control.sendMessage(1, Uint8Array.of(1)));
    expect(client.control.allAcked()).toBe(false);
    appear.splice(0)[0]?.();
    expect(client.control.allAcked()).toBe(false);
    client.take(client.control.handleWake(2));
    expect(client.control.allAcked()).toBe(false);
    exchange(2, client, server);
    settle(2);
    expect(client.control.allAcked()).toBe(true);
    expect(server.all('plaintext')).toHaveLength(1);
  });

  it('are wrapped anew with fresh acks when they are sent again', () => {
    const [client, server] = connected();
    client.take(client.control.sendMessage(1, new Uint8Array(10)));
    const [first] = client.takeSent();
    server.take(server.control.sendMessage(1, new Uint8Array(10)));
    exchange(1, server, client);
    client.takeSent();
    client.take(client.control.handleTimeout(client.control.nextTimeout()));
    const [again] = client.takeSent();
    expect(again!.messageId).toBe(first!.messageId);
    expect(again!.payload).toEqual(first!.payload);
    expect(again!.acks).not.toEqual(first!.acks);
    // CountingWrap refuses bytes that were sent before.
    expect(client.wrap.seen.size).toBe(client.sent.length);
  });

  it('cannot be sent before TLS is up, and vanish after it has ended', () => {
    const client = startedClient();
    expect(() => client.control.sendMessage(0, Uint8Array.of(1))).toThrow(TypeError);
    const [other] = connected();
    other.control.close();
    other.control.close();
    expect(other.control.sendMessage(1, Uint8Array.of(1))).toEqual([]);
    expect(other.control.handleTimeout(1e9)).toEqual([]);
    expect(other.control.nextTimeout()).toBe(NEVER);
  });
});

describe('failures', () => {
  it('come last, once, after the alert for the peer', () => {
    const certificate = { depth: 0, error: 'unable to get local issuer certificate', subject: 'CN=fake' };
    const client = new Side('client', new FakeTlsFactory({ seed: 1 }));
    const server = new Side('server', new FakeTlsFactory({ seed: 2, verify: () => certificate }));
    client.take(client.control.start(0));
    exchange(0, client, server);
    expect(server.actions.at(-1)).toMatchObject({ type: 'failed', certificate });
    expect(server.actions.at(-2)?.type).toBe('send');
    expect(server.control.state).toBe('S_ERROR');
    expect(client.all('failed')[0]?.reason).toBe('alert unknown ca');
    expect(server.all('secure')).toEqual([]);
  });

  it('a handshake of the peer above 64 KiB', () => {
    const client = new Side('client', new FakeTlsFactory({ seed: 1 }));
    const server = new Side('server', new FakeTlsFactory({ seed: 2 }));
    client.take(client.control.start(0));
    exchange(0, client, server);
    const flooded = new Side('server', new FakeTlsFactory(), {
      remoteSessionId: CLIENT_SESSION,
      startOpcode: undefined,
      nextReceiveId: 1,
    });
    // A record that never ends: 16 KiB are announced again and again.
    let messageId = 1;
    for (; flooded.all('failed').length === 0 && messageId < 200; messageId += 1) {
      const payload = new Uint8Array(1000);
      if (messageId === 1) payload.set([22, 3, 3, 0x40, 0xff]);
      flooded.take(
        flooded.control.handlePacket(0, {
          ...fromServer({ opcode: P_CONTROL_V1, messageId, payload }),
          sessionId: CLIENT_SESSION,
        }),
      );
    }
    expect(messageId * 1000).toBeLessThan(70_000);
  });

  it('an engine that swallows everything is fed 64 KiB at most, and the handshake is given up', () => {
    let fed = 0;
    const engine = {
      start() {},
      writeCiphertext: (bytes: Uint8Array) => {
        fed += bytes.length;
      },
      writePlaintext() {},
      plaintextPending: () => false,
      takeEvents: () => [],
      exportKeyingMaterial: () => NOTHING,
      close() {},
    };
    const server = new Side('server', new FakeTlsFactory(), {
      engine,
      remoteSessionId: CLIENT_SESSION,
      startOpcode: undefined,
      nextReceiveId: 1,
    });
    for (let messageId = 1; messageId < 200; messageId += 1) {
      const packet = fromServer({ opcode: P_CONTROL_V1, messageId, payload: new Uint8Array(1000) });
      server.take(server.control.handlePacket(0, { ...packet, sessionId: CLIENT_SESSION }));
    }
    expect(fed).toBeLessThanOrEqual(66_000);
    expect(server.all('failed')).toEqual([{ type: 'failed', reason: 'the TLS handshake of the peer is too large' }]);
  });

  it('a peer that never acknowledges while we have ever more to say', () => {
    const [client] = connected();
    for (let n = 0; n < 40; n += 1) client.take(client.control.sendMessage(1, new Uint8Array(10_000)));
    expect(client.all('failed')).toHaveLength(1);
    expect(client.actions.at(-1)?.type).toBe('failed');
    expect(client.control.state).toBe('S_ERROR');
  });

  it('an orderly end is told, and what was said before arrives', () => {
    const engines = new FakeTlsFactory({ seed: 1 });
    const engine = engines.create({ role: 'client', wake: () => {} });
    const client = new Side('client', engines, { engine });
    const server = new Side('server', new FakeTlsFactory({ seed: 2 }));
    client.take(client.control.start(0));
    exchange(0, client, server);
    client.take(client.control.sendMessage(1, Uint8Array.of(1)));
    engine.endSession();
    client.take(client.control.handleWake(1));
    exchange(1, client, server);
    expect(server.actions.filter(({ type }) => type !== 'send').map(({ type }) => type)).toEqual([
      'secure',
      'plaintext',
      'closed',
    ]);
    expect(server.control.sendMessage(2, Uint8Array.of(1))).toEqual([]);
  });
});
