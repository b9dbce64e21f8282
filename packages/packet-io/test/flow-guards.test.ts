import './native-build.js';
import { ADDRESS_LINK, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { innerUdp, SeededRandom } from '@openvpnd/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { openTun } from '../src/index.js';
import {
  APP_PORT,
  FAR_PORT,
  FLOWS,
  HERE,
  LOG_PACKETS,
  octets,
  placeOfPair,
  Rig,
  receiving,
  rowOf,
  sending,
  THERE,
  tcp,
  twinOf,
  udp,
  udp6,
  withByte,
} from './flow-rig.js';
import { describeInNamespace } from './namespace.js';
import { ip, loopbackAsItIs, quietNamespace, slowLoopback, until } from './quiet-namespace.js';

const SEED = Number(process.env.OPENVPND_FUZZ_SEED ?? '1');
const ROUNDS = 2000;

describeInNamespace(import.meta.url, () => {
  quietNamespace();
  let rig: Rig | undefined;
  afterEach(() => {
    rig?.close();
    rig = undefined;
  });
  const open = (): Promise<Rig> => {
    rig = new Rig();
    return rig.start();
  };

  describe('a packet that came in is left for JavaScript', () => {
    const heads: readonly [string, Uint8Array, Uint8Array][] = [
      ['an IPv4 header that is too short', udp(), withByte(udp(), 0, 0x44)],
      ['an IPv4 header that is longer than the packet', udp(), withByte(udp(), 0, 0x4f)],
      ['an IPv4 packet that says that it is longer', udp(), withByte(udp(), 3, 99)],
      ['another version with those lengths', udp6('abc'), withByte(udp6('abc'), 0, 0x50)],
      ['an IPv6 packet with bytes behind it', udp6('abc'), Uint8Array.of(...udp6('abc'), 0)],
      ['an IPv6 packet that says that it is longer', udp6('abc'), withByte(udp6('abc'), 5, 99)],
      ['an IPv6 packet that is a header alone', udp6('abc'), withByte(udp6('abc').subarray(0, 40), 5, 0)],
      ['a SYN', udp(), tcp(udp(THERE, HERE, 'twelve bytes'), 0x02)],
      ['a SYN with ACK over IPv6', udp6('abc'), tcp(udp6('twelve bytes'), 0x12)],
      ['a TCP header that is cut', udp(), tcp(udp(THERE, HERE, 'cut'), 0x10)],
      ['an address that differs in its last byte', udp6('abc'), udp6('abc', 3)],
    ];
    it.for(heads)('%s', async ([, decided, packet]) => {
      const r = await open();
      expect(r.grantIn(0, { packet: decided })).toBeGreaterThanOrEqual(0);
      expect(await r.deliver(r.peers[0].seal(decided))).toBe('carried');
      const datagram = r.peers[0].seal(packet);
      expect(await r.deliver(datagram)).toBe('told');
      expect(r.told).toEqual([datagram]);
      expect(await r.deliver(r.peers[0].seal(decided))).toBe('carried');
    });

    it('with addresses that share the place of those that were decided about', async () => {
      const r = await open();
      r.grantIn(0);
      const source = twinOf(THERE, (address) => placeOfPair(address, HERE, 0));
      const destination = twinOf(HERE, (address) => placeOfPair(THERE, address, 0));
      expect(await r.deliver(r.peers[0].seal(udp(source, HERE)))).toBe('told');
      expect(await r.deliver(r.peers[0].seal(udp(THERE, destination)))).toBe('told');
      expect(await r.deliver(r.peers[0].seal(udp()))).toBe('carried');
    });

    it('IPv6 whose addresses begin like those of IPv4 that were decided about', async () => {
      const r = await open();
      r.grantIn(0);
      const padded = (address: string): number[] => [...octets(address), ...new Array<number>(12).fill(0)];
      const packet = innerUdp({ source: padded(THERE), destination: padded(HERE), payload: Buffer.from('x') });
      expect(await r.deliver(r.peers[0].seal(packet))).toBe('told');
    });

    it('from an address that is another peer’s', async () => {
      const r = await open();
      r.grantIn(0, { packet: udp('10.77.0.3') });
      r.grantIn(1, { packet: udp(THERE) });
      expect(await r.deliver(r.peers[0].seal(udp(THERE)))).toBe('told');
      expect(await r.deliver(r.peers[1].seal(udp(THERE)))).toBe('carried');
    });

    it('from another link', async () => {
      const r = await open();
      r.grantIn(0);
      r.grantIn(1, { link: r.links[1], packet: udp('10.77.0.3') });
      expect(await r.deliver(r.peers[0].seal(udp()), r.links[1])).toBe('told');
      expect(await r.deliver(r.peers[0].seal(udp()), r.links[0])).toBe('carried');
    });

    it('when it came before, at once or later', async () => {
      const r = await open();
      r.grantIn(0);
      const [once, newer] = [r.peers[0].seal(udp()), r.peers[0].seal(udp())];
      expect(await r.deliver(once)).toBe('carried');
      expect(await r.deliver(once)).toBe('told');
      expect(await r.deliver(newer)).toBe('carried');
      expect(await r.deliver(once)).toBe('told');
    });

    it('when the decision was made before a change, whatever was granted since', async () => {
      const r = await open();
      r.grantIn(0);
      r.changes.bump();
      r.grantIn(0, { packet: udp('10.77.0.3') });
      expect(await r.deliver(r.peers[0].seal(udp()))).toBe('told');
      expect(await r.deliver(r.peers[0].seal(udp('10.77.0.3')))).toBe('carried');
    });

    it('when its key is no more', async () => {
      const r = await open();
      r.grantIn(0);
      r.peers[0].renewOpens();
      expect(await r.deliver(r.peers[0].seal(udp()))).toBe('told');
    });

    it('when the log is full, until it is drained', async () => {
      const r = await open();
      r.grantIn(0, { packets: 2 * LOG_PACKETS });
      for (let packet = 1; packet <= LOG_PACKETS; packet += 1) {
        r.far.send(r.peers[0].seal(udp()), r.links[0].localAddress()[1], '127.0.0.1');
        await until(() => r.arrived.length === packet);
      }
      expect(r.told).toEqual([]);
      r.far.send(r.peers[0].seal(udp()), r.links[0].localAddress()[1], '127.0.0.1');
      await until(() => r.told.length === 1);
      r.drain();
      expect(r.carried).toHaveLength(LOG_PACKETS);
      expect(await r.deliver(r.peers[0].seal(udp()))).toBe('carried');
    });
  });

  describe('a packet that goes out is left for JavaScript', () => {
    it('to an address that shares the place of the one that was decided about', async () => {
      const r = await open();
      r.grantOut(0);
      const twin = twinOf(THERE, (address) => placeOfPair(HERE, address, 1));
      expect(await r.answer('x', twin)).toBe('told');
      expect(await r.answer('x')).toBe('carried');
    });

    it('when another peer has the place of its flow', async () => {
      const r = await open();
      r.grantOut(0);
      r.grantOutAs(sending(FLOWS), r.peers[1], { packet: udp(HERE, '10.77.0.3') });
      expect(await r.answer('x')).toBe('told');
      expect(await r.answer('x', '10.77.0.3')).toBe('carried');
      await until(() => r.left.length === 1);
      expect(r.peers[0].open(r.left[0])).toBeUndefined();
      expect(r.peers[1].open(r.left[0])).toBeDefined();
    });

    it('when the decision was made before a change, whatever was granted since', async () => {
      const r = await open();
      r.grantOut(0);
      r.changes.bump();
      r.grantOut(0, { packet: udp(HERE, '10.77.0.3') });
      expect(await r.answer('x')).toBe('told');
      expect(await r.answer('x', '10.77.0.3')).toBe('carried');
    });

    it('when its key is no more', async () => {
      const r = await open();
      r.grantOut(0);
      r.peers[0].renewSeals();
      expect(await r.answer('x')).toBe('told');
    });

    it('when its link is closed, whoever has the descriptor now', async () => {
      const r = await open();
      r.grantOut(0);
      r.reopenLink(0);
      expect(await r.answer('x')).toBe('told');
    });

    it('when it comes from another device than the one that was granted for', async () => {
      const r = await open();
      r.grantOut(0);
      const other = openTun({ offload: 'tso+uso' });
      try {
        const vector = new PacketVector({ capacity: 4, headroom: 64, packetBytes: 4000, tailroom: 32 });
        other.watch({ readable: () => other.readBatch(vector), failed: () => {} });
        ip('link', 'set', other.name, 'up');
        ip('route', 'add', `${THERE}/32`, 'dev', other.name);
        r.application.send('x', FAR_PORT, THERE);
        await until(() => vector.count > 0);
        r.drain();
        expect(r.carried).toEqual([]);
      } finally {
        other.close();
      }
    });

    it('when the socket is full: the flow ends, so that the id that it has used does not come back', async ({
      skip,
    }) => {
      slowLoopback('rate 80kbit burst 4kb latency 60s', skip);
      try {
        const r = await open();
        r.links[0].resizeBuffers({ sendBufferBytes: 4096 });
        const place = r.grantOut(0, { packets: 9999 });
        let sent = 0;
        while (r.told.length === 0 && sent < 2000) {
          r.application.send('f'.repeat(1300), FAR_PORT, THERE);
          sent += 1;
          await until(() => {
            r.drain();
            return r.total === sent;
          });
        }
        expect(r.told).toHaveLength(1);
        expect(r.flows.revoke(place, sending(0))).toBe(0);
      } finally {
        loopbackAsItIs();
      }
    });

    it('when it is longer than a flow takes', async () => {
      const r = await open();
      r.grantOut(0);
      expect(await r.answer('y'.repeat(2100))).toBe('told');
      expect(await r.answer('y')).toBe('carried');
    });
  });

  it('what goes out has its checksum, whoever takes it', async () => {
    const r = await open();
    r.grantOut(0);
    expect(await r.answer('checked')).toBe('carried');
    expect(await r.answer('checked', '10.77.0.3')).toBe('told');
    await until(() => r.left.length === 1);
    const packets = [r.peers[0].open(r.left[0])?.packet, r.told[0]];
    const expected = [THERE, '10.77.0.3'].map((to) =>
      innerUdp({
        source: octets(HERE),
        destination: octets(to),
        payload: Buffer.from('checked'),
        sourcePort: APP_PORT,
        destinationPort: FAR_PORT,
      }),
    );
    // Behind the IP header, whose identification is the system's.
    expect(packets.map((packet) => packet?.subarray(20))).toEqual(expected.map((packet) => packet.subarray(20)));
  });

  describe('a grant', () => {
    it('is refused while a port is paused, for a link that is not there, and where there are two devices', async () => {
      const r = await open();
      for (const port of [r.device, r.links[0]]) {
        port.pause();
        expect([r.grantIn(0), r.grantOut(0)]).toEqual([-1, -1]);
        port.resume();
      }
      const words = r.addressOn(r.links[0]);
      words[ADDRESS_LINK] = 99;
      const vector = r.peers[0].opened(r.peers[0].seal(udp()));
      vector.addresses.set(words);
      expect(r.flows.receive(vector, r.peers[0].opens, 0, 32)).toBe(-1);
      const other = openTun({ offload: 'none' });
      other.watch({ readable: () => {}, failed: () => {} });
      expect([r.grantIn(0), r.grantOut(0)]).toEqual([-1, -1]);
      other.close();
      expect(r.grantIn(0)).toBeGreaterThanOrEqual(0);
      expect(r.grantOut(0)).toBeGreaterThanOrEqual(0);
    });

    it('is refused for a key of the other direction, and for packets that no flow takes', async () => {
      const r = await open();
      const [peer] = r.peers;
      const vector = peer.opened(peer.seal(udp()));
      vector.addresses.set(r.addressOn(r.links[0]));
      expect(r.flows.receive(vector, peer.seals, 0, 32)).toBe(-1);
      expect(r.flows.note(vector)).toBe(true);
      expect(r.flows.send(vector, peer.opens, 1, 0, 1, 32)).toBe(-1);
      expect(r.grantIn(0, { packet: tcp(udp(THERE, HERE, 'twelve bytes'), 0x02) })).toBe(-1);
      expect(r.grantOut(0, { packet: tcp(udp(HERE, THERE, 'twelve bytes'), 0x02) })).toBe(-1);
    });

    it('to send is for the packet that was noted last, and for that once', async () => {
      const r = await open();
      expect(r.grantOut(0)).toBeGreaterThanOrEqual(0);
      const vector = rowOf(udp(HERE, THERE), FATE_TO_LINK, r.peers[0].seals);
      vector.addresses.set(r.addressOn(r.links[0]));
      expect(r.flows.send(vector, r.peers[0].seals, 1, 0, 100, 32)).toBe(-1);
      r.flows.note(vector);
      expect(r.flows.note(rowOf(Uint8Array.of(1, 2, 3), FATE_TO_LINK, r.peers[0].seals))).toBe(false);
      expect(r.flows.send(vector, r.peers[0].seals, 1, 0, 100, 32)).toBe(-1);
    });

    it('is revoked by its name, and says what is left of it', async () => {
      const r = await open();
      const [into, out] = [r.grantIn(0, { packets: 5 }), r.grantOut(0, { packets: 7 })];
      await r.deliver(r.peers[0].seal(udp()));
      await r.answer('x');
      expect(r.flows.revoke(into, receiving(1))).toBe(0);
      expect(await r.deliver(r.peers[0].seal(udp()))).toBe('carried');
      expect([r.flows.revoke(into, receiving(0)), r.flows.revoke(out, sending(0))]).toEqual([3, 6]);
      expect([r.flows.revoke(into, receiving(0)), r.flows.revoke(out, sending(0))]).toEqual([0, 0]);
      expect([await r.deliver(r.peers[0].seal(udp())), await r.answer('x')]).toEqual(['told', 'told']);
    });
  });

  it('after some packets that were for none of them, flows rest', async () => {
    const r = await open();
    r.grantIn(0);
    for (let packet = 0; packet < 4; packet += 1) expect(await r.deliver(Uint8Array.of(0x50, packet))).toBe('told');
    expect(await r.deliver(r.peers[0].seal(udp()))).toBe('told');
  });

  it('at random: what is sent is carried once or told once, under no id twice, and as long as it is granted', async () => {
    const random = new SeededRandom(SEED);
    const r = await open();
    /** What each flow may yet take. */
    const granted = new Map<number, { readonly place: number; left: number }>();
    const usedIds = new Set<string>();
    let carriedBefore = 0;
    const account = (): void => {
      for (const { flow, id } of r.carried.slice(carriedBefore)) {
        const grant = granted.get(flow);
        if (grant === undefined || grant.left === 0) throw new Error(`flow ${flow} was not granted`);
        grant.left -= 1;
        const name = `${flow} ${id}`;
        expect(usedIds.has(name)).toBe(false);
        usedIds.add(name);
      }
      carriedBefore = r.carried.length;
    };
    const from = (): string => `10.77.0.${2 + random.below(3)}`;
    for (let round = 0; round < ROUNDS; round += 1) {
      const slot = random.below(3);
      const peer = r.peers[slot];
      const link = r.links[random.below(2)];
      switch (random.below(14)) {
        case 0:
        case 1: {
          const packets = random.below(12);
          const place = r.grantIn(slot, { packet: udp(from()), link, packets });
          expect(place).toBeGreaterThanOrEqual(0);
          granted.set(receiving(slot), { place, left: packets });
          break;
        }
        case 2:
        case 3: {
          const packets = random.below(12);
          const place = r.grantOut(slot, { packet: udp(HERE, from()), link, packets });
          expect(place).toBeGreaterThanOrEqual(0);
          granted.set(sending(slot), { place, left: packets });
          break;
        }
        case 4: {
          const flow = slot * 2 + random.below(2);
          const grant = granted.get(flow);
          if (grant === undefined) break;
          const left = r.flows.revoke(grant.place, flow);
          // It may have ended by itself.
          expect([0, grant.left]).toContain(left);
          granted.delete(flow);
          break;
        }
        case 5:
          if (!random.chance(0.3)) break;
          r.changes.bump();
          granted.clear();
          break;
        case 6: {
          if (!random.chance(0.3)) break;
          const port = random.chance(0.5) ? r.device : link;
          port.pause();
          port.resume();
          if (port === r.device) granted.clear();
          break;
        }
        case 7:
          if (!random.chance(0.3)) break;
          peer.renewOpens();
          granted.delete(receiving(slot));
          break;
        case 8:
          if (random.chance(0.1)) r.reopenLink(random.below(2));
          break;
        case 9: {
          const datagram = peer.seal(udp(from()));
          const end = random.chance(0.5) ? datagram.length : 1 + random.below(datagram.length);
          datagram[random.below(datagram.length)] ^= 1 + random.below(255);
          expect(await r.deliver(datagram.subarray(0, end), link)).toBe('told');
          break;
        }
        case 10:
        case 11:
          await r.answer('o'.repeat(1 + random.below(random.chance(0.1) ? 2500 : 100)), from());
          account();
          break;
        default:
          await r.deliver(peer.seal(udp(from(), HERE, 'i'.repeat(1 + random.below(200)))), link);
          account();
      }
    }
    expect(r.carried.length).toBeGreaterThan(ROUNDS / 30);
    const sent = r.carried.filter(({ flow }) => flow % 2 === 1);
    await until(() => r.left.length === sent.length);
    const ids = r.left.map((datagram) => r.peers[datagram[3]].open(datagram)?.id);
    expect(ids).toEqual(sent.map(({ id }) => id));
  });
});
