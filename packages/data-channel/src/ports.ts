import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';

/** A handle of an installed key: an index into the backend's table, written to the `key` column of a row. */
export type AeadKeyHandle = number;

export interface AeadKeyOptions {
  readonly cipher: 'AES-128-GCM' | 'AES-192-GCM' | 'AES-256-GCM' | 'CHACHA20-POLY1305';
  /** 16, 24 or 32 bytes; copied. */
  readonly key: Uint8Array;
  /** `short`: the last 8 bytes of the nonce; the first 4 are the packet id. `epoch`: 12 bytes, XORed with the packet id. Copied. */
  readonly implicitIv: Uint8Array;
  readonly direction: 'seal' | 'open';
  /**
   * What stands before the packet id: 1 byte (P_DATA_V1: opcode and key id, not authenticated) or 4 bytes (P_DATA_V2: with
   * the peer id, authenticated). For `open` only the length counts. Copied.
   */
  readonly prefix: Uint8Array;
  /** How packets look, `short` when missing; see {@link AeadBackend}. An `epoch` key has a prefix of 4 bytes. */
  readonly layout?: AeadLayout;
}

/** Form of a data packet: with the packet id of 4 bytes that all versions know, or as epoch data keys of OpenVPN 2.7 have it. */
export type AeadLayout = 'short' | 'epoch';

/**
 * Seals and opens AEAD data packets, a vector at a time, in place.
 *
 * | layout | packet | nonce | additional data |
 * |---|---|---|---|
 * | `short` | prefix (1 or 4), packet id (4), tag (16), ciphertext | packet id, implicit IV | prefix of 4, packet id |
 * | `epoch` | prefix (4), packet id (8: epoch and counter), ciphertext, tag (16) | packet id and four zeros, XOR implicit IV | prefix, packet id |
 *
 * An adapter implements it (node:crypto, native) and runs the conformance suite.
 */
export interface AeadBackend {
  /** For the log: `node:crypto`, `evp`. */
  readonly name: string;
  /**
   * Whether {@link sealBatch} takes rows of more than one segment: it splits them as `splitSuperPacket()` does and seals each packet under an id of its
   * own, beginning with the one in `packetIdLow`; the row then holds the datagrams one behind the other. Without it such rows are split before they come.
   */
  readonly sealsSuperPackets?: boolean;
  /** @throws Error with code ERR_AEAD_UNSUPPORTED when the cipher does not exist here. */
  installKey(options: AeadKeyOptions): AeadKeyHandle;
  /** Forgets and zeroes a key. Rows that still carry the handle fail. The handle may be given out again. */
  retireKey(handle: AeadKeyHandle): void;
  /**
   * Each row with fate SEAL and a key: encrypts its packet with the id in `packetIdLow` (`epoch`: and `packetIdHigh`), puts prefix, id and tag
   * around it (needs 24 bytes of headroom; `epoch`: 12, and 16 of tailroom) and makes it TO_LINK. A row that fails (no such key) becomes DROPPED.
   */
  sealBatch(vector: PacketVector): void;
  /**
   * Each row with fate OPEN and a key: verifies and decrypts; on success the columns hold id (`epoch`: in both words), offset and length of the plaintext,
   * and the fate is INNER. A packet that is too short or whose tag is wrong becomes DROPPED and its bytes are worth nothing.
   */
  openBatch(vector: PacketVector): void;
}

/** The kinds of packets of one peer that are carried on their own, in the lowest bit of the name of a flow; the rest of it is the slot. */
export const FLOW_RECEIVES = 0;
export const FLOW_SENDS = 1;

/** A packet that a flow has carried. `flow`: slot * 2 + FLOW_RECEIVES or FLOW_SENDS. Lengths in bytes, of the inner packet and of the datagram. */
export type FlowPacket = (
  flow: number,
  packetIdHigh: number,
  packetIdLow: number,
  payloadBytes: number,
  wireBytes: number,
  at: Instant,
) => void;

/**
 * Carries packets that come alone without waking JavaScript: who implements it moves them from link to device and back as the data channel and the multiplexers
 * have just done with one, and keeps a log, out of which the data channel accounts for them. A flow takes packets of one peer in one direction under one key, between
 * inner addresses that were decided about; whatever is out of the ordinary (late, not authentic, a keep-alive, a SYN, another address …) is left as it came.
 *
 * A flow ends by `revoke`, when its packets are used up, its key is retired, its link or device is paused or closed, or a decision has changed.
 */
export interface FlowOffload {
  /**
   * From now on takes packets like the one in row 0, which was opened and goes to the device; up to `packets` of them, with ids above that one. Takes the place of what
   * it had under that name.
   *
   * @returns its place, for {@link revoke}; -1 when it cannot take such packets
   */
  receive(vector: PacketVector, key: AeadKeyHandle, flow: number, packets: number): number;
  /** Remembers the inner addresses of row 0, which is about to be sealed. @returns whether it could take such packets */
  note(vector: PacketVector): boolean;
  /**
   * From now on seals packets between the addresses that were noted and sends them where row 0 goes, with ids from that one on, which are given out to nobody else.
   *
   * @returns as `receive`
   */
  send(vector: PacketVector, key: AeadKeyHandle, flow: number, idHigh: number, idLow: number, packets: number): number;
  /** Ends a flow. @returns how many packets it might yet have taken; 0 when it had ended by itself */
  revoke(place: number, flow: number): number;
  /** Tells of each packet that was carried since the last call, in their order. */
  drain(tell: FlowPacket): void;
}
