import { FATE_DROPPED, FATE_RAW } from './fate.js';
import { ADDRESS_WORDS } from './link-address.js';

/** The slot of a row that belongs to no peer. */
export const NO_SLOT = 0xffffffff;
/** The key handle of a row that has no key. */
export const NO_KEY = 0xffffffff;

/**
 * The columns of the descriptor table, in their order in memory. Column c of row r is `table[c * capacity + r]`;
 * native code that was handed `table` relies on this order.
 */
export const VECTOR_COLUMNS = [
  'offset',
  'length',
  'slot',
  'fate',
  'key',
  'packetIdHigh',
  'packetIdLow',
  'segments',
  'segmentBytes',
  'trafficClass',
] as const;

/** Shape of a packet vector, fixed for its life. Sizes are whole bytes; the slab stays below 4 GiB. */
export interface PacketVectorOptions {
  /** Number of rows; 1 or more. */
  readonly capacity: number;
  /** Bytes reserved in front of each packet, for headers that later stages prepend. */
  readonly headroom: number;
  /** The largest packet that a row takes on arrival, in bytes. */
  readonly packetBytes: number;
  /** Bytes reserved behind the largest packet. */
  readonly tailroom: number;
  /**
   * Bytes behind the rows, 0 by default: room for ports and stages that place packets otherwise than one in a row, such as what the kernel
   * gathers or hands over in one piece. Who puts something there sets the row's offset.
   */
  readonly arenaBytes?: number;
}

/**
 * A batch of packets: one slab of bytes and one table of 32-bit descriptors (structure of arrays), allocated once.
 * Stages work on it in place, by row index, and allocate nothing for a packet. A vector belongs to the driver; a
 * stage borrows it for one call and keeps no view of it. The memory is shared memory: it cannot be transferred or resized, so that native code may keep pointers to it.
 *
 * Columns: `offset` and `length` of the packet in `bytes`; `slot` of the peer; `fate` (see fate.ts); `key`, a handle
 * of the AEAD backend; `packetIdHigh`/`packetIdLow`, the packet id (32 bits in Low, 64 with High for epoch keys);
 * `segments` and `segmentBytes`, for super-packets (1 and 0 for a plain packet): in an inner one the number of packets that it stands for and the
 * payload of each but the last, behind headers that all share; in a sealed one the number of datagrams, which lie one behind the other, and the size of each
 * but the last. `addresses` holds {@link ADDRESS_WORDS} words a row: the source of a received packet, the destination of
 * one to be sent.
 */
export class PacketVector {
  readonly capacity: number;
  readonly headroom: number;
  readonly packetBytes: number;
  readonly strideBytes: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly table: Uint32Array;
  readonly addresses: Uint32Array;

  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly slot: Uint32Array;
  readonly fate: Uint32Array;
  readonly key: Uint32Array;
  readonly packetIdHigh: Uint32Array;
  readonly packetIdLow: Uint32Array;
  readonly segments: Uint32Array;
  readonly segmentBytes: Uint32Array;
  /** The TOS byte of IPv4, or traffic class of IPv6, that the packet leaves a link with; 0: none in particular. */
  readonly trafficClass: Uint32Array;

  /** Rows in use: 0 … capacity. */
  count = 0;
  /** What native code knows the arrays by, once it was handed them; -1 before. Its own, nobody else's. */
  nativeIndex = -1;

  /** @throws RangeError when there is no such vector */
  constructor(options: PacketVectorOptions) {
    const { capacity, headroom, packetBytes, tailroom, arenaBytes = 0 } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError('a packet vector has at least one row');
    }
    for (const bytes of [headroom, packetBytes, tailroom, arenaBytes]) {
      if (!Number.isInteger(bytes) || bytes < 0) throw new RangeError('sizes of a packet vector are whole bytes');
    }
    this.capacity = capacity;
    this.headroom = headroom;
    this.packetBytes = packetBytes;
    // Rows start on cache lines: neighbours do not share one.
    this.strideBytes = Math.ceil((headroom + packetBytes + tailroom) / 64) * 64;
    // Offsets are 32 bits wide.
    const slabBytes = capacity * this.strideBytes + arenaBytes;
    if (slabBytes > 0xffffffff) throw new RangeError('a packet vector is smaller than 4 GiB');
    this.bytes = new Uint8Array(new SharedArrayBuffer(slabBytes));
    this.view = new DataView(this.bytes.buffer);
    this.table = words(VECTOR_COLUMNS.length * capacity);
    this.addresses = words(ADDRESS_WORDS * capacity);
    const column = (name: (typeof VECTOR_COLUMNS)[number]): Uint32Array => {
      const start = VECTOR_COLUMNS.indexOf(name) * capacity;
      return this.table.subarray(start, start + capacity);
    };
    this.offset = column('offset');
    this.length = column('length');
    this.slot = column('slot');
    this.fate = column('fate');
    this.key = column('key');
    this.packetIdHigh = column('packetIdHigh');
    this.packetIdLow = column('packetIdLow');
    this.segments = column('segments');
    this.segmentBytes = column('segmentBytes');
    this.trafficClass = column('trafficClass');
  }

  /** Empties the vector. The bytes stay; the rows are re-initialised as they are added. */
  reset(): void {
    this.count = 0;
  }

  /** Rows that can still be added. */
  get room(): number {
    return this.capacity - this.count;
  }

  /** Where the packet of a fresh row starts in `bytes`. */
  startOf(row: number): number {
    return row * this.strideBytes + this.headroom;
  }

  /**
   * Adds a row with an empty packet at its start and returns its index, or -1 when the vector is full. Fate RAW, no
   * slot, no key; its address is whatever stood there.
   */
  append(): number {
    const row = this.count;
    if (row === this.capacity) return -1;
    this.offset[row] = row * this.strideBytes + this.headroom;
    this.length[row] = 0;
    this.slot[row] = NO_SLOT;
    this.fate[row] = FATE_RAW;
    this.key[row] = NO_KEY;
    this.packetIdHigh[row] = 0;
    this.packetIdLow[row] = 0;
    this.segments[row] = 1;
    this.segmentBytes[row] = 0;
    this.trafficClass[row] = 0;
    this.count = row + 1;
    return row;
  }

  /** Adds a row that holds a copy of `packet`; -1 when the vector is full or the packet larger than `packetBytes`. */
  appendCopy(packet: Uint8Array): number {
    if (packet.length > this.packetBytes) return -1;
    const row = this.append();
    if (row < 0) return -1;
    this.bytes.set(packet, this.offset[row]);
    this.length[row] = packet.length;
    return row;
  }

  /**
   * Moves a packet that lies in the arena to the start of its own row, where it has head- and tailroom; one that lies in its row stays. Who wants to
   * write around a packet calls it first. False when the packet is larger than `packetBytes`: then it stays too.
   */
  settle(row: number): boolean {
    const offset = this.offset[row];
    if (offset < this.capacity * this.strideBytes) return true;
    const length = this.length[row];
    if (length > this.packetBytes) return false;
    const start = this.startOf(row);
    this.bytes.copyWithin(start, offset, offset + length);
    this.offset[row] = start;
    return true;
  }

  /** A view of the packet in `row`, borrowed: it dies with the next use of the vector. Allocates; not for the data path. */
  packet(row: number): Uint8Array {
    return this.bytes.subarray(this.offset[row], this.offset[row] + this.length[row]);
  }

  /** Marks a row as dropped. Whoever drops it counts it. */
  drop(row: number): void {
    this.fate[row] = FATE_DROPPED;
  }
}

function words(count: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(count * Uint32Array.BYTES_PER_ELEMENT));
}
