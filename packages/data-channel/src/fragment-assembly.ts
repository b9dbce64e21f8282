import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import {
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_LAST,
  FRAGMENT_NOT_LAST,
  FRAGMENT_SEQUENCE_IDS,
  FRAGMENT_WHOLE,
  fragmentNumber,
  fragmentSequenceId,
  fragmentSize,
  fragmentType,
} from '@openvpnd/wire';

/** What {@link FragmentAssembly.take} made of a row: a payload, a part that waits for the others, or nothing that makes sense. */
export type FragmentOutcome = 'payload' | 'waiting' | 'refused';

/** Packets that may be in parts at a time. OpenVPN: N_FRAG_BUF. */
const MAX_PACKETS = 25;
/** How long a packet may wait for its other parts. OpenVPN: FRAG_TTL_SEC. */
const PART_LIFETIME_MS = 10_000;
const ALL_PARTS = 0xffff_ffff;

interface PartialPacket {
  sequenceId: number;
  /** One bit for each part that is there; the last part stands for all that would follow it. */
  parts: number;
  /** Size of each part but the last. */
  partBytes: number;
  /** Length of the whole, as far as it is known. */
  length: number;
  since: Instant;
  bytes: Uint8Array;
}

/**
 * Puts the parts of one peer's packets together again. At most 25 packets wait at a time, each no longer than a row and 10 s. OpenVPN:
 * fragment_incoming().
 */
export class FragmentAssembly {
  readonly #packets: PartialPacket[] = [];
  /** The sequence id that is furthest ahead; none before the first part. */
  #newest: number | undefined;

  /** Looks at a decrypted row that begins with a fragment header. With `payload` the row is a whole payload. */
  take(now: Instant, vector: PacketVector, row: number): FragmentOutcome {
    const length = vector.length[row] - FRAGMENT_HEADER_BYTES;
    if (length <= 0) return 'refused';
    const header = vector.view.getUint32(vector.offset[row]);
    const offset = vector.offset[row] + FRAGMENT_HEADER_BYTES;
    const number = fragmentNumber(header);
    switch (fragmentType(header)) {
      case FRAGMENT_WHOLE:
        // Its other fields would say that there are parts.
        if (fragmentSequenceId(header) !== 0) return 'refused';
        vector.offset[row] = offset;
        vector.length[row] = length;
        return 'payload';
      case FRAGMENT_NOT_LAST:
        if (length % 4 !== 0) return 'refused';
        return this.#add(now, vector, row, header, offset, length, length, 1 << number);
      case FRAGMENT_LAST: {
        const partBytes = fragmentSize(header);
        if (length > partBytes) return 'refused';
        return this.#add(now, vector, row, header, offset, length, partBytes, ALL_PARTS << number);
      }
      default:
        return 'refused';
    }
  }

  #add(
    now: Instant,
    vector: PacketVector,
    row: number,
    header: number,
    offset: number,
    length: number,
    partBytes: number,
    parts: number,
  ): FragmentOutcome {
    const partStart = fragmentNumber(header) * partBytes;
    if (partStart + length > vector.packetBytes) return 'refused';
    const packet = this.#find(fragmentSequenceId(header), vector.packetBytes);
    // Of an earlier round of ids, or too old, or parts that do not fit each other: this one begins it anew.
    if (packet.parts === 0 || packet.partBytes !== partBytes || now - packet.since > PART_LIFETIME_MS) {
      packet.parts = 0;
      packet.partBytes = partBytes;
      packet.length = 0;
      packet.since = now;
    }
    packet.bytes.set(vector.bytes.subarray(offset, offset + length), partStart);
    packet.parts |= parts;
    packet.length = Math.max(packet.length, partStart + length);
    if (packet.parts >>> 0 !== ALL_PARTS) return 'waiting';
    vector.offset[row] = vector.startOf(row);
    vector.length[row] = packet.length;
    vector.bytes.set(packet.bytes.subarray(0, packet.length), vector.offset[row]);
    packet.parts = 0;
    return 'payload';
  }

  /** The place of a packet: its own, or one whose packet is out of the window. */
  #find(sequenceId: number, packetBytes: number): PartialPacket {
    let newest = this.#newest ?? sequenceId;
    const ahead = distance(sequenceId, newest);
    if (Math.abs(ahead) >= MAX_PACKETS) for (const packet of this.#packets) packet.parts = 0;
    if (ahead > 0 || Math.abs(ahead) >= MAX_PACKETS) newest = sequenceId;
    this.#newest = newest;
    let free: PartialPacket | undefined;
    for (const packet of this.#packets) {
      if (packet.parts !== 0 && distance(newest, packet.sequenceId) >= MAX_PACKETS) packet.parts = 0;
      if (packet.parts === 0) free = packet;
      else if (packet.sequenceId === sequenceId) return packet;
    }
    if (free === undefined || free.bytes.length < packetBytes) {
      if (free === undefined) {
        free = { sequenceId, parts: 0, partBytes: 0, length: 0, since: 0, bytes: new Uint8Array(packetBytes) };
        this.#packets.push(free);
      } else {
        free.bytes = new Uint8Array(packetBytes);
      }
    }
    free.sequenceId = sequenceId;
    return free;
  }
}

/** How far `to` is ahead of `from`, around the circle of sequence ids: −127 … 128. */
function distance(to: number, from: number): number {
  const ahead = (to - from + FRAGMENT_SEQUENCE_IDS) % FRAGMENT_SEQUENCE_IDS;
  return ahead > FRAGMENT_SEQUENCE_IDS / 2 ? ahead - FRAGMENT_SEQUENCE_IDS : ahead;
}
