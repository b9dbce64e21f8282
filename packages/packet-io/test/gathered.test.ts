import './native-build.js';
import { createHash } from 'node:crypto';
import { type LinkSocket, linkAddress } from '@openvpnd/external-mux';
import { openUdpLink as openPortableLink } from '@openvpnd/external-mux/node';
import {
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  PacketVector,
  type PacketVectorOptions,
} from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { LINK_VECTOR, openUdpLink } from '../src/index.js';

const PACKET_BYTES = 1500;
const ROUNDS = 40;
/** Datagrams that one sender sends before the other does, and in all. */
const TURN = 70;
const MAX_PACKETS = 5 * 71;
/** Holds what both send in a round, which is read afterwards. */
const ROUND_BUFFER_BYTES = 512 * 1024;

/** Vectors to receive into: as the daemon has them, without an arena, and too small for what one message holds. */
const SHAPES: readonly { readonly title: string; readonly shape: PacketVectorOptions }[] = [
  { title: 'rows and an arena', shape: { ...LINK_VECTOR, headroom: 28, packetBytes: PACKET_BYTES, tailroom: 16 } },
  { title: 'no arena', shape: { capacity: 512, headroom: 4, packetBytes: PACKET_BYTES, tailroom: 0 } },
  {
    title: 'fewer rows than a message has datagrams',
    shape: { capacity: 7, arenaBytes: 2 * (65_536 + 1088), headroom: 4, packetBytes: PACKET_BYTES, tailroom: 0 },
  },
  { title: 'one row', shape: { capacity: 1, headroom: 0, packetBytes: PACKET_BYTES, tailroom: 0 } },
];

for (const host of [
  { family: 4, address: '127.0.0.1', port: 0 },
  { family: 6, address: '::1', port: 0 },
] as const) {
  describe(`datagrams that the kernel gathers, IPv${host.family}`, () => {
    const links: LinkSocket[] = [];
    afterEach(() => {
      for (const link of links.splice(0)) link.close();
    });

    it.for(SHAPES)(
      'of odd sizes, with runts, from several senders at once, come as from the portable link: $title',
      async ({ shape }) => {
        const random = new SeededRandom(shape.capacity + host.family);
        const where = { id: 1, local: host, receiveBufferBytes: ROUND_BUFFER_BYTES };
        const native = openUdpLink({ ...where, offload: { gso: true, gro: true } });
        const portable = await openPortableLink(where);
        const senders = [2, 3].map((id) => openUdpLink({ id, local: host, offload: { gso: true, gro: false } }));
        links.push(native, portable, ...senders);
        expect(native.offloads.gro && senders[0].offloads.gso).toBe(true);
        const ports = senders.map((sender) => sender.localAddress()[ADDRESS_PORT]);
        const rx = new PacketVector(shape);
        let dropped = 0;
        for (let round = 0; round < ROUNDS; round += 1) {
          const sent = senders.map(() => bursts(random));
          const wanted = sent.map((packets) => packets.filter(({ length }) => length > 0 && length <= PACKET_BYTES));
          const count = wanted.flat().length;
          const receivers = [native, portable];
          // In turns, so that what one sends stands between what the other sends.
          for (let at = 0; at < MAX_PACKETS; at += TURN) {
            for (const [index, sender] of senders.entries()) {
              send(random, sender, receivers, host, sent[index].slice(at, at + TURN));
            }
          }
          for (const receiver of receivers) {
            const received = await receive(receiver, rx, count);
            for (const [index, port] of ports.entries()) {
              expect(received.get(port) ?? []).toEqual(wanted[index].map(digest));
            }
          }
          dropped += sent.flat().length - count;
        }
        expect(native.counters()).toMatchObject({ receiveErrors: 0, receiveDropped: dropped });
        expect(dropped).toBeGreaterThan(0);
        for (const sender of senders) expect(sender.counters()).toMatchObject({ sendErrors: 0, full: 0 });
      },
    );
  });
}

/** Some datagrams: in runs of one size with something shorter, longer or empty behind. */
function bursts(random: SeededRandom): Uint8Array[] {
  const packets: Uint8Array[] = [];
  const add = (bytes: number): void => {
    const packet = new Uint8Array(bytes);
    random.fill(packet);
    packets.push(packet);
  };
  for (let runs = 1 + random.below(5); runs > 0; runs -= 1) {
    const bytes = [1, 2, 13, 64, 577, 1400, PACKET_BYTES, PACKET_BYTES + 1][random.below(8)];
    for (let count = 1 + random.below(70); count > 0; count -= 1) add(bytes);
    if (random.chance(0.6)) add(random.below(bytes));
  }
  return packets;
}

/** All packets to each receiver, in one batch in which the receivers change again and again. */
function send(
  random: SeededRandom,
  sender: LinkSocket,
  receivers: readonly LinkSocket[],
  host: { family: 4 | 6; address: string },
  packets: readonly Uint8Array[],
): void {
  if (packets.length === 0) return;
  const addresses = receivers.map((receiver) => {
    const to = linkAddress({ ...host, port: receiver.localAddress()[ADDRESS_PORT] });
    to[ADDRESS_LINK] = sender.id;
    return to;
  });
  const tx = new PacketVector({
    capacity: TURN * receivers.length,
    headroom: 0,
    packetBytes: PACKET_BYTES + 1,
    tailroom: 0,
  });
  for (let at = 0; at < packets.length; ) {
    const run = packets.slice(at, at + 1 + random.below(40));
    for (const to of addresses) {
      for (const packet of run) {
        const row = tx.appendCopy(packet);
        tx.fate[row] = FATE_TO_LINK;
        tx.addresses.set(to, row * ADDRESS_WORDS);
      }
    }
    at += run.length;
  }
  expect(sender.sendBatch(tx)).toBe(true);
  expect(tx.fate.subarray(0, tx.count).every((fate) => fate === FATE_DROPPED)).toBe(true);
}

/** What waits at a receiver, by the port of its sender. The same vector is used again and again, as the driver does. */
async function receive(receiver: LinkSocket, rx: PacketVector, count: number): Promise<ReadonlyMap<number, string[]>> {
  const packets = new Map<number, string[]>();
  let received = 0;
  for (let turns = 0; turns < 100_000 && received < count; turns += 1) {
    rx.reset();
    receiver.receiveBatch(rx);
    for (let row = 0; row < rx.count; row += 1) {
      const port = rx.addresses[row * ADDRESS_WORDS + ADDRESS_PORT];
      const known = packets.get(port) ?? [];
      packets.set(port, known);
      known.push(digest(rx.packet(row)));
    }
    received += rx.count;
    if (rx.count === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  // What is dropped behind the last of them waits still.
  for (let turns = 0; turns < 3; turns += 1) {
    rx.reset();
    expect(receiver.receiveBatch(rx)).toBe(0);
  }
  return packets;
}

/** Short enough for a message that tells what is missing. */
function digest(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('base64url').slice(0, 12)}`;
}
