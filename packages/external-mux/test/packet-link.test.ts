import type { PacketCarrier, PacketFeed } from '@openvpnd/external-mux';
import { linkMaker, PACKET_QUEUE } from '@openvpnd/external-mux/node';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { describe, expect, it } from 'vitest';

class Carrier implements PacketCarrier {
  full = false;
  readonly calls: string[] = [];
  readonly sent: Uint8Array[] = [];

  send(packet: Uint8Array): void {
    this.sent.push(packet.slice());
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  close(): void {
    this.calls.push('close');
  }
}

const REMOTE = { family: 4, address: '192.0.2.1', port: 1194 } as const;

function open(whenFull: 'drop' | 'refuse' = 'refuse') {
  const carrier = new Carrier();
  let feed: PacketFeed | undefined;
  const maker = linkMaker({ nextId: () => 7, maxPacketBytes: 2048, queuePackets: 64, whenFull });
  const { link, remote } = maker.packets({ protocol: 'tcp', remote: REMOTE }, (given) => {
    feed = given;
    return carrier;
  });
  return { carrier, feed: feed as PacketFeed, link, remote };
}

function vector(capacity = 1024): PacketVector {
  return new PacketVector({ capacity, headroom: 0, packetBytes: 100, tailroom: 0 });
}

function rows(to: LinkAddress, count: number): PacketVector {
  const tx = vector();
  for (let index = 0; index < count; index += 1) {
    const row = tx.appendCopy(Uint8Array.of(index));
    tx.addresses.set(to, row * ADDRESS_WORDS);
    tx.fate[row] = FATE_TO_LINK;
  }
  return tx;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a link on a carrier of packets', () => {
  it('hands over what has come in one batch, with its peer', async () => {
    const { feed, link, remote } = open();
    let calls = 0;
    const rx = vector();
    link.watch({ readable: () => (calls += link.receiveBatch(rx) > 0 ? 1 : 0), writable: () => {}, failed: () => {} });
    feed.packet(Uint8Array.of(1));
    feed.packet(Uint8Array.of());
    feed.packet(new Uint8Array(101));
    feed.packet(Uint8Array.of(2, 3));
    await turn();
    expect(calls).toBe(1);
    expect([0, 1].map((row) => [...rx.packet(row)])).toEqual([[1], [2, 3]]);
    expect(rx.count).toBe(2);
    expect(rx.addresses.slice(0, ADDRESS_WORDS)).toEqual(remote);
    expect(remote[ADDRESS_LINK]).toBe(7);
  });

  it('holds its carrier up when nobody takes what comes, and loses what comes all the same', async () => {
    const { carrier, feed, link } = open();
    for (let index = 0; index < 3 * PACKET_QUEUE; index += 1) feed.packet(Uint8Array.of(1));
    expect(carrier.calls).toEqual(['pause']);
    const rx = vector();
    expect(link.receiveBatch(rx)).toBe(2 * PACKET_QUEUE);
    expect(carrier.calls).toEqual(['pause', 'resume']);
  });

  it('sends its rows and leaves others alone', () => {
    const { carrier, link, remote } = open();
    const tx = rows(remote, 2);
    const foreign = tx.appendCopy(Uint8Array.of(9));
    tx.fate[foreign] = FATE_TO_LINK;
    expect(link.sendBatch(tx)).toBe(true);
    expect(carrier.sent.map((packet) => packet[0])).toEqual([0, 1]);
    expect([...tx.fate.subarray(0, 3)]).toEqual([FATE_DROPPED, FATE_DROPPED, FATE_TO_LINK]);
  });

  it('is full with its carrier, and tells once of room', () => {
    const { carrier, feed, link, remote } = open();
    let room = 0;
    link.watch({ readable: () => {}, writable: () => (room += 1), failed: () => {} });
    carrier.full = true;
    const tx = rows(remote, 2);
    expect(link.sendBatch(tx)).toBe(false);
    expect(tx.fate[0]).toBe(FATE_TO_LINK);
    link.send(Uint8Array.of(5), remote);
    carrier.full = false;
    feed.room();
    feed.room();
    expect(room).toBe(1);
    expect(link.sendBatch(tx)).toBe(true);
    expect(carrier.sent).toHaveLength(2);
  });

  it('drops instead where one must not hold up others', () => {
    const { carrier, link, remote } = open('drop');
    carrier.full = true;
    const tx = rows(remote, 2);
    expect(link.sendBatch(tx)).toBe(true);
    expect(tx.fate[1]).toBe(FATE_DROPPED);
    expect(carrier.sent).toEqual([]);
  });

  it('tells of the end behind the last packet, and once', async () => {
    const { feed, link, carrier, remote } = open();
    const told: string[] = [];
    const rx = vector(1);
    link.watch({
      readable: () => {
        rx.reset();
        link.receiveBatch(rx);
        told.push(`packet ${rx.packet(0)[0]}`);
      },
      writable: () => {},
      failed: (error) => told.push(error.message),
    });
    feed.packet(Uint8Array.of(1));
    feed.packet(Uint8Array.of(2));
    feed.end(new Error('over'));
    feed.end(new Error('again'));
    feed.packet(Uint8Array.of(3));
    for (let turns = 0; turns < 6; turns += 1) await turn();
    expect(told).toEqual(['packet 1', 'packet 2', 'over']);
    link.send(Uint8Array.of(1), remote);
    expect(carrier.sent).toEqual([]);
  });

  it('keeps what it holds while it is paused', async () => {
    const { feed, link } = open();
    let calls = 0;
    link.watch({ readable: () => (calls += link.receiveBatch(vector())), writable: () => {}, failed: () => {} });
    link.pause();
    feed.packet(Uint8Array.of(1));
    await turn();
    expect(calls).toBe(0);
    link.resume();
    await turn();
    expect(calls).toBe(1);
  });

  it('closes its carrier once and is silent then', async () => {
    const { carrier, feed, link } = open();
    const told: string[] = [];
    link.watch({ readable: () => told.push('readable'), writable: () => {}, failed: () => told.push('failed') });
    link.close();
    link.close();
    feed.packet(Uint8Array.of(1));
    feed.end(new Error('over'));
    await turn();
    expect(carrier.calls).toEqual(['close']);
    expect(told).toEqual([]);
    expect(link.receiveBatch(vector())).toBe(0);
  });
});
