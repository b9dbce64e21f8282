import { MEASURED_TIMING, ReliableChannel } from '@openvpnd/reliability';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';

const SETTINGS = { seed: 1, numRuns: 300 };

/** Ids a hostile peer would try: around where we are, around the wrap, anywhere. */
const anyId = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0xffff_ffe0, max: 0xffff_ffff }),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);

const operation = fc.oneof(
  fc.record({ op: fc.constant('message' as const), id: anyId }),
  fc.record({ op: fc.constant('acks' as const), ids: fc.array(anyId, { maxLength: 8 }) }),
  fc.record({ op: fc.constant('take' as const) }),
  fc.record({ op: fc.constant('send' as const) }),
  fc.record({ op: fc.constant('outgoing' as const) }),
  fc.record({ op: fc.constant('takeAcks' as const), max: fc.integer({ min: 0, max: 8 }) }),
  fc.record({ op: fc.constant('burst' as const) }),
  fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 5000 }) }),
);

it('holds its promises whatever the peer sends', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), fc.constantFrom(0, 1, 0xffff_fff8), (operations, start) => {
      const channel = new ReliableChannel<number>({
        nextSendId: start,
        nextReceiveId: start,
        timing: MEASURED_TIMING,
      });
      let now = 0;
      let expected = start;
      let nextSend = start;
      const sent = new Set<number>();
      const acked = new Set<number>();
      const everReceived = new Set<number>();
      for (const step of operations) {
        switch (step.op) {
          case 'message':
            if (channel.handleMessage(now, step.id, step.id) !== 'out-of-window') {
              everReceived.add(step.id);
              expect(channel.acksPending()).toBe(true);
            }
            break;
          case 'acks':
            channel.handleAcks(now, step.ids);
            for (const id of step.ids) {
              if (sent.has(id)) {
                acked.add(id);
              }
            }
            break;
          case 'take': {
            const message = channel.takeMessage();
            if (message !== undefined) {
              expect(message).toBe(expected);
              expected = (expected + 1) >>> 0;
            }
            break;
          }
          case 'send':
            if (channel.canSend()) {
              expect(channel.send(now, nextSend)).toBe(nextSend);
              nextSend = (nextSend + 1) >>> 0;
            }
            expect(channel.allAcked()).toBe((nextSend - start) >>> 0 === acked.size);
            break;
          case 'outgoing': {
            const outgoing = channel.takeOutgoing(now);
            if (outgoing !== undefined) {
              expect(outgoing.message).toBe(outgoing.id);
              expect(acked.has(outgoing.id)).toBe(false);
              expect(outgoing.attempt === 1).toBe(!sent.has(outgoing.id));
              sent.add(outgoing.id);
              expect(channel.nextTimeout()).toBeLessThan(Number.POSITIVE_INFINITY);
            }
            break;
          }
          case 'takeAcks': {
            const acks = channel.takeAcks(step.max);
            expect(acks.length).toBeLessThanOrEqual(step.max);
            expect(new Set(acks).size).toBe(acks.length);
            expect(acks.every((id) => everReceived.has(id))).toBe(true);
            break;
          }
          case 'burst':
            channel.rescheduleAll(now);
            break;
          case 'wait':
            now += step.ms;
            break;
        }
        expect((nextSend - start - acked.size) >>> 0).toBeLessThanOrEqual(6);
        expect(channel.allAcked()).toBe(channel.nextTimeout() === Number.POSITIVE_INFINITY);
      }
    }),
    SETTINGS,
  );
});

it('holds twelve messages at most of a peer that never sends the first', () => {
  const channel = new ReliableChannel<number>();
  let accepted = 0;
  for (let id = 1; id < 10_000; id += 2) {
    accepted += channel.handleMessage(0, id, id) === 'accepted' ? 1 : 0;
  }
  expect(accepted).toBe(6);
  expect(channel.takeMessage()).toBeUndefined();
});

it('sends six messages at most to a peer that never acknowledges', () => {
  const channel = new ReliableChannel<number>();
  while (channel.canSend()) {
    channel.send(0, 0);
  }
  const ids = new Set<number>();
  for (let now = 0; now < 600_000; now = channel.nextTimeout()) {
    ids.add(channel.takeOutgoing(now)?.id ?? -1);
  }
  expect(ids.size).toBe(6);
});
