import { readFileSync } from 'node:fs';
import { ExternalMux, linkAddress } from '@openvpnd/external-mux';
import { ADDRESS_WORDS, FATE_DROPPED, FATE_OPEN, FATE_PUNT, NO_SLOT, PacketVector } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { isControlOpcode, keyIdOf, opcodeOf } from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';

interface PacketVectorFile {
  readonly vectors: readonly { readonly id: string; readonly inputs: { readonly packet: string } }[];
}

const file = JSON.parse(readFileSync(new URL('./vectors/pkt_parse.json', import.meta.url), 'utf8')) as PacketVectorFile;
const PEER = linkAddress({ family: 4, address: '192.0.2.1', port: 1194 }, 1);
const STRANGER = linkAddress({ family: 4, address: '192.0.2.2', port: 1194 }, 1);

/** Why a stranger's packet is dropped here. All others are for the first-packet check, which parses them. */
const DROPPED_OF_STRANGERS: Readonly<Record<string, string>> = {
  'captured-1': 'no-opening',
  'minivpn-20004': 'short',
  'minivpn-202': 'short',
  'mal-empty': 'empty',
  'mal-one': 'short',
  'mal-op0': 'opcode',
  'mal-op31': 'opcode',
  'mal-op1': 'opcode',
  'mal-op2': 'opcode',
  'mal-keyid7-reset': 'no-opening',
  'mal-ack255-trunc': 'no-opening',
  'mal-ack0': 'no-opening',
  'mal-soft-unknown': 'no-opening',
  'mal-data-v1-unknown': 'unknown-source',
  'mal-data-v2-unknown': 'unknown-peer',
  'mal-data-v2-short': 'short',
  'mal-data-v2-max': 'unknown-source',
};

function classify(bytes: Uint8Array, source: Uint32Array): { fate: number; slot: number; code: string | undefined } {
  const mux = new ExternalMux({ random: new SeededRandom(1), maxPeers: 8, role: 'server' });
  mux.addPeer(0, PEER);
  const rx = new PacketVector({ capacity: 1, headroom: 0, packetBytes: 2048, tailroom: 0 });
  rx.addresses.set(source, rx.appendCopy(bytes) * ADDRESS_WORDS);
  mux.classifyBatch(0, rx);
  const counted = Object.entries(mux.dropCounts()).filter(([, count]) => count > 0);
  return { fate: rx.fate[0], slot: rx.slot[0], code: counted[0]?.[0] };
}

describe.each(file.vectors)('pkt_parse.json: $id', ({ id, inputs }) => {
  const bytes = Uint8Array.from(Buffer.from(inputs.packet, 'hex'));

  it('from a stranger', () => {
    const { fate, slot, code } = classify(bytes, STRANGER);
    expect(code).toBe(DROPPED_OF_STRANGERS[id]);
    expect([fate, slot]).toEqual([code === undefined ? FATE_PUNT : FATE_DROPPED, NO_SLOT]);
    if (code === undefined) expect(keyIdOf(bytes[0])).toBe(0);
  });

  it('from a peer', () => {
    const { fate, slot, code } = classify(bytes, PEER);
    if (bytes.length >= 9 && isControlOpcode(opcodeOf(bytes[0]))) expect([fate, slot]).toEqual([FATE_PUNT, 0]);
    else if (code === undefined) expect([fate, slot]).toEqual([FATE_OPEN, 0]);
    else expect(['empty', 'short', 'opcode', 'unknown-peer']).toContain(code);
  });

  it('cut at every length and with every bit flipped', () => {
    for (let length = 0; length < Math.min(bytes.length, 64); length += 1) {
      expect([FATE_PUNT, FATE_DROPPED]).toContain(classify(bytes.subarray(0, length), STRANGER).fate);
    }
    for (let bit = 0; bit < Math.min(bytes.length, 32) * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const { fate, slot } = classify(flipped, STRANGER);
      // Only what carries the id of the peer is opened, and the tag decides then.
      expect(fate === FATE_OPEN ? slot : NO_SLOT).toBe(fate === FATE_OPEN ? 0 : NO_SLOT);
    }
  });
});
