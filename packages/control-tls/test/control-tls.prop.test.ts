import { FakeTlsFactory } from '@openvpnd/testkit';
import { type ControlPacket, P_ACK_V1 } from '@openvpnd/wire';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { CLIENT_SESSION, connected, SERVER_SESSION, Side } from './two-sides.js';

const sessionId = fc.constantFrom(CLIENT_SESSION, SERVER_SESSION, new Uint8Array(8));
const messageId = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 0xffff_ffff }));

const packet: fc.Arbitrary<ControlPacket> = fc
  .record({
    opcode: fc.constantFrom(3, 4, 5, 7, 8, 10, 11),
    keyId: fc.constantFrom(0, 0, 0, 1),
    sessionId,
    acks: fc.array(messageId, { maxLength: 8 }),
    remoteSessionId: sessionId,
    messageId,
    payload: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 64 })),
  })
  .map(({ acks, remoteSessionId, messageId: id, payload, ...rest }) => ({
    ...rest,
    acks,
    ...(acks.length > 0 && { remoteSessionId }),
    ...(rest.opcode !== P_ACK_V1 && { messageId: id }),
    payload: rest.opcode === P_ACK_V1 ? new Uint8Array(0) : payload,
  }));

const step = fc.oneof(packet, fc.integer({ min: 0, max: 10_000 }));

it('takes any packets in any order: never throws, never answers much, fails once at most', () => {
  fc.assert(
    fc.property(fc.constantFrom('client', 'server', 'connected'), fc.array(step, { maxLength: 60 }), (kind, steps) => {
      const side = kind === 'connected' ? connected()[1] : new Side(kind as 'client' | 'server', new FakeTlsFactory());
      let now = 0;
      if (kind === 'client') side.take(side.control.start(now));
      for (const what of steps) {
        if (typeof what === 'number') {
          now += what;
          side.take(side.control.handleTimeout(now));
        } else {
          const sent = side.sent.length;
          side.take(side.control.handlePacket(now, what));
          // Six messages in flight and one ack are all that a packet can bring about.
          expect(side.sent.length - sent).toBeLessThanOrEqual(7);
        }
      }
      expect(side.all('failed').length).toBeLessThanOrEqual(1);
      side.control.close();
    }),
    { seed: 1, numRuns: 500 },
  );
});
