import { readFileSync } from 'node:fs';
import { ReliableChannel } from '@openvpnd/reliability';
import { describe, expect, it } from 'vitest';

interface Vector {
  id: string;
  inputs: { acks: number[]; mru: number[]; n: number; next_id: number; active: number[]; size: number };
  expected: { mru: number[]; available: number };
}

const file = new URL('./vectors/framing_reliable.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] };

/** Fragment headers, TCP framing and magic numbers of the same file belong to wire. */
const ours = vectors.filter(({ id }) => id.startsWith('ack-mru-') || id.startsWith('send-window-'));

describe('vectors of the reliable layer', () => {
  it('are all here', () => expect(ours).toHaveLength(8));

  it.each(ours.filter(({ id }) => id.startsWith('ack-mru-')))('$id', ({ inputs, expected }) => {
    const channel = new ReliableChannel<null>({ receiveWindow: 64 });
    const arrive = (ids: readonly number[]): void => {
      for (const id of ids) {
        channel.handleMessage(0, id, null);
      }
    };
    arrive(inputs.mru);
    channel.takeAcks(inputs.mru.length);
    arrive(inputs.acks);
    expect(channel.takeAcks(inputs.n)).toEqual(expected.mru.slice(0, inputs.n));
    expect(channel.acksPending()).toBe(new Set(inputs.acks).size > inputs.n);
    // What is repeated later shows the rest of the list.
    while (channel.acksPending()) {
      expect(channel.takeAcks(1)).toHaveLength(1);
    }
    const rest = channel.takeAcks(8);
    expect(rest.slice(-expected.mru.length)).toEqual(expected.mru);
  });

  it.each(ours.filter(({ id }) => id.startsWith('send-window-')))('$id', ({ inputs, expected }) => {
    const first = inputs.active.reduce((low, id) => ((id - low) >>> 0 > 2 ** 31 ? id : low));
    const channel = new ReliableChannel<null>({ sendWindow: inputs.size, nextSendId: first });
    for (let id = first; id !== inputs.next_id; id = (id + 1) >>> 0) {
      expect(channel.send(0, null)).toBe(id);
      while (channel.takeOutgoing(0) !== undefined) {
        // Early retransmissions come in between, since later ids are acknowledged.
      }
      if (!inputs.active.includes(id)) {
        channel.handleAcks(0, [id]);
      }
    }
    expect(channel.sendCapacity()).toBe(expected.available);
    expect(channel.canSend()).toBe(expected.available > 0);
  });
});
