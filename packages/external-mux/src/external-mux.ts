import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  type ChangeCount,
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_PUNT,
  FATE_RAW,
  FATE_TO_LINK,
  type LinkAddress,
  NO_SLOT,
  type PacketVector,
} from '@openvpnd/memory';
import type { Instant, Random } from '@openvpnd/sans-io';
import {
  keyIdOf,
  opcodeOf,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  P_DATA_V1,
  P_DATA_V2,
} from '@openvpnd/wire';
import { ControlQuotas } from './control-quotas.js';
import { EXTERNAL_DROP_CODES, type ExternalDropCode } from './drop-code.js';
import { PeerAddresses } from './peer-addresses.js';

/** The peer id of a P_DATA_V2 packet that carries none; also one more than the largest slot. */
const NO_PEER_ID = 0xffffff;
/** Opcode and peer id. */
const DATA_V2_HEADER_BYTES = 4;
/** Opcode and session id: the smallest control packet that is looked at. OpenVPN: tls_pre_decrypt(). */
const SMALLEST_CONTROL_BYTES = 9;
/** Opcode, session id, ack count, message id: the smallest reset; with one ack and no message id an ack is larger. */
const SMALLEST_OPENING_BYTES = 14;
/** First packets of strangers that one batch hands on: each costs a MAC, and established peers come first. */
const DEFAULT_OPENINGS_PER_BATCH = 64;
/** Addresses that one peer may speak from beside its own: a client's link of each address family. */
const MAX_ALTERNATIVES = 1;
/** Control packets of one peer that one batch hands on: twice what a whole receive window and its acks need. Only its address need be forged. */
const DEFAULT_CONTROLS_PER_PEER_PER_BATCH = 32;

export interface ExternalMuxOptions {
  /** Gives the key of the address hash. */
  readonly random: Random;
  /** Slots are 0 … maxPeers - 1, and so are peer ids; at most 2^24 - 1. A client has 1. */
  readonly maxPeers: number;
  /**
   * `server`: a P_DATA_V2 packet belongs to the peer whose id it carries. `client`: one peer, slot 0, known by its address; peer ids are not
   * looked at.
   */
  readonly role: 'server' | 'client';
  /**
   * Whether authentic packets from a new address may move a peer. Default: a server yes, a client no (`--float`). For a client it also lets control
   * packets from any address in.
   */
  readonly float?: boolean;
  /** False for a client with a static key (`--secret`): its packets begin with no opcode, all of them are data. Default: true. */
  readonly opcodes?: boolean;
  /** Moves whenever a packet may be decided about otherwise than before. */
  readonly changes?: ChangeCount;
  readonly openingsPerBatch?: number;
  readonly controlsPerPeerPerBatch?: number;
}

/** A peer that has spoken authentically from an address that is not its own. */
export interface FloatedPeer {
  readonly slot: number;
  /** Where it is now. A copy. */
  readonly address: LinkAddress;
  /** Who has that address at present; NO_SLOT: nobody. A float onto an address that is held is refused by `commitFloat`. */
  readonly holder: number;
}

/**
 * From packets of links to peer slots and back: tells data from control, finds whose a packet is, and gives packets to be sent their address.
 * Edits vectors in place and allocates nothing for a packet. OpenVPN: multi_get_create_instance_udp(), tls_pre_decrypt()'s first part.
 */
export class ExternalMux {
  readonly #maxPeers: number;
  readonly #isServer: boolean;
  readonly #float: boolean;
  readonly #hasOpcodes: boolean;
  readonly #changes: ChangeCount | undefined;
  readonly #peers: PeerAddresses;
  readonly #quotas: ControlQuotas;
  /** Links that carry one stream connection each. Bounded by the links that the application opens. */
  readonly #streamLinks: Set<number> = new Set();
  readonly #drops: Float64Array<ArrayBuffer> = new Float64Array(EXTERNAL_DROP_CODES.length);
  /** `awaitPeer` was called and nobody has come. */
  #awaited = false;
  /** Rows of the batch that came from elsewhere than their peer's address. */
  #strangers = 0;

  constructor(options: ExternalMuxOptions) {
    const { maxPeers } = options;
    if (!Number.isInteger(maxPeers) || maxPeers < 1 || maxPeers > NO_PEER_ID) {
      throw new RangeError('peer ids have 24 bits, and the last of them means none');
    }
    this.#maxPeers = maxPeers;
    this.#isServer = options.role === 'server';
    this.#float = options.float ?? this.#isServer;
    this.#hasOpcodes = options.opcodes ?? true;
    this.#changes = options.changes;
    if (this.#isServer && !this.#hasOpcodes) throw new RangeError('a server tells its peers apart by opcodes');
    this.#peers = new PeerAddresses({
      maxPeers,
      maxAlternatives: this.#isServer ? 0 : MAX_ALTERNATIVES,
      random: options.random,
    });
    this.#quotas = new ControlQuotas({
      maxPeers,
      openingsPerBatch: options.openingsPerBatch ?? DEFAULT_OPENINGS_PER_BATCH,
      controlsPerPeerPerBatch: options.controlsPerPeerPerBatch ?? DEFAULT_CONTROLS_PER_PEER_PER_BATCH,
    });
  }

  /** Tells that a link carries one stream connection, so that no peer floats onto or off it and its packets need no peer id. */
  addStreamLink(id: number): void {
    this.#changes?.bump();
    this.#streamLinks.add(id);
  }

  removeStreamLink(id: number): void {
    this.#changes?.bump();
    this.#streamLinks.delete(id);
  }

  /**
   * Enters a peer. The address is copied.
   *
   * @returns false when the slot has a peer or the address belongs to one: nothing changed
   * @throws RangeError when the slot is out of range
   */
  addPeer(slot: number, address: LinkAddress): boolean {
    this.#checkSlot(slot);
    this.#changes?.bump();
    if (!this.#peers.add(slot, address)) return false;
    this.#awaited = false;
    return true;
  }

  /**
   * A client's peer is one that nobody knows yet: from now on until `addPeer`, what comes from anywhere may be its. Data of such a source goes to slot 0 and is
   * told by `floated`, first packets are punted without a slot. OpenVPN: a point-to-point peer without `--remote`.
   */
  awaitPeer(): void {
    if (this.#isServer || this.#peers.has(0)) throw new TypeError('only a client without a peer waits for one');
    this.#changes?.bump();
    this.#awaited = true;
  }

  /**
   * Another address that the peer of a client may speak from, on another link: the peer moves between its addresses by `commitFloat`, `float` or not. The address
   * is copied.
   *
   * @returns false when there are {@link MAX_ALTERNATIVES} already, or the address is known: nothing changed
   */
  addAlternative(address: LinkAddress): boolean {
    if (this.#isServer || !this.#peers.has(0)) throw new TypeError('only the peer of a client has alternatives');
    this.#changes?.bump();
    return this.#peers.addAlternative(address);
  }

  /** Forgets a peer, with its alternatives, or that one was awaited. Returns whether there was one. */
  removePeer(slot: number): boolean {
    this.#checkSlot(slot);
    this.#changes?.bump();
    this.#awaited = false;
    return this.#peers.remove(slot);
  }

  /** A copy of a peer's address; undefined where there is no peer. */
  addressOf(slot: number): LinkAddress | undefined {
    this.#checkSlot(slot);
    if (!this.#peers.has(slot)) return undefined;
    const address = new Uint32Array(ADDRESS_WORDS);
    this.#peers.copyTo(address, 0, slot);
    return address;
  }

  /** The slot that has this address; NO_SLOT when none has. */
  lookup(address: LinkAddress): number {
    return this.#peers.lookup(address, 0);
  }

  /**
   * Sorts what came from a link: each RAW row becomes OPEN (data of the peer in `slot`), PUNT (control of the peer in `slot`, or with NO_SLOT
   * a stranger's first packet) or DROPPED.
   */
  classifyBatch(_now: Instant, rx: PacketVector): void {
    this.#quotas.beginBatch();
    this.#strangers = 0;
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] === FATE_RAW) this.#classify(rx, row);
    }
  }

  /**
   * The peers that spoke from a new address, each once, with the address of their last packet. To be asked between the opening of the batch and the
   * internal multiplexer: only rows that are INNER or CONSUMED by then carried a valid tag and a fresh packet id.
   */
  floated(rx: PacketVector): readonly FloatedPeer[] {
    if (this.#strangers === 0) return NOBODY;
    const bySlot = new Map<number, FloatedPeer>();
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] !== FATE_INNER && rx.fate[row] !== FATE_CONSUMED) continue;
      const slot = rx.slot[row];
      // Without a peer slot 0 is the awaited one's.
      if (!this.#peers.has(slot) && !(this.#awaited && slot === 0)) continue;
      const at = row * ADDRESS_WORDS;
      if (this.#peers.isOwn(slot, rx.addresses, at)) {
        // Packets overtake each other: the peer was heard at home after all.
        bySlot.delete(slot);
        continue;
      }
      const address = rx.addresses.slice(at, at + ADDRESS_WORDS);
      bySlot.set(slot, { slot, address, holder: this.#peers.lookup(address, 0) });
    }
    return [...bySlot.values()];
  }

  /**
   * Moves a peer to its new address, or gives the awaited one its address. The address is copied. A peer that moves to an alternative keeps the address it leaves as one.
   * OpenVPN: multi_process_float().
   *
   * @returns false when there is no such peer, another one holds the address, or it is on a stream: nothing changed
   */
  commitFloat(slot: number, address: LinkAddress): boolean {
    this.#checkSlot(slot);
    this.#changes?.bump();
    if (this.#awaited) return this.addPeer(slot, address);
    if (!this.#peers.has(slot)) return false;
    if (this.#streamLinks.has(address[ADDRESS_LINK]) || this.#streamLinks.has(this.#peers.linkOf(slot))) return false;
    return this.#peers.move(slot, address);
  }

  /** Gives each row TO_LINK the address of its slot; one whose slot has none is dropped. */
  addressBatch(tx: PacketVector): void {
    for (let row = 0; row < tx.count; row += 1) {
      if (tx.fate[row] !== FATE_TO_LINK) continue;
      const slot = tx.slot[row];
      if (this.#peers.has(slot)) this.#peers.copyTo(tx.addresses, row * ADDRESS_WORDS, slot);
      else this.#drop(tx, row, NO_ADDRESS);
    }
  }

  /** How many rows were dropped for each reason, since the beginning. A copy. */
  dropCounts(): Record<ExternalDropCode, number> {
    const counts = {} as Record<ExternalDropCode, number>;
    for (const [index, code] of EXTERNAL_DROP_CODES.entries()) counts[code] = this.#drops[index];
    return counts;
  }

  #classify(rx: PacketVector, row: number): void {
    const length = rx.length[row];
    if (length === 0) {
      this.#drop(rx, row, EMPTY);
      return;
    }
    if (!this.#hasOpcodes) {
      this.#classifyDataByAddress(rx, row);
      return;
    }
    const start = rx.offset[row];
    const opcode = opcodeOf(rx.bytes[start]);
    if (opcode === P_DATA_V2) {
      if (length < DATA_V2_HEADER_BYTES) {
        this.#drop(rx, row, SHORT);
        return;
      }
      const peerId = (rx.bytes[start + 1] << 16) | (rx.bytes[start + 2] << 8) | rx.bytes[start + 3];
      // A stream belongs to one peer, whatever its packets say.
      if (this.#isServer && peerId !== NO_PEER_ID && !this.#isStream(rx, row)) this.#classifyByPeerId(rx, row, peerId);
      else this.#classifyDataByAddress(rx, row);
    } else if (opcode === P_DATA_V1) {
      this.#classifyDataByAddress(rx, row);
    } else if (opcode < P_CONTROL_SOFT_RESET_V1 || opcode > P_CONTROL_WKC_V1) {
      this.#drop(rx, row, OPCODE);
    } else if (length < SMALLEST_CONTROL_BYTES) {
      this.#drop(rx, row, SHORT);
    } else {
      this.#classifyControl(rx, row, opcode);
    }
  }

  #classifyByPeerId(rx: PacketVector, row: number, peerId: number): void {
    if (!this.#peers.has(peerId)) {
      this.#drop(rx, row, UNKNOWN_PEER);
      return;
    }
    if (!this.#peers.isOwn(peerId, rx.addresses, row * ADDRESS_WORDS)) {
      if (this.#streamLinks.has(this.#peers.linkOf(peerId))) {
        // The id went to a client of another transport, and its former owner still talks.
        this.#drop(rx, row, OTHER_PROTOCOL);
        return;
      }
      if (!this.#float) {
        this.#drop(rx, row, OTHER_ADDRESS);
        return;
      }
      this.#strangers += 1;
    }
    rx.slot[row] = peerId;
    rx.fate[row] = FATE_OPEN;
  }

  #classifyDataByAddress(rx: PacketVector, row: number): void {
    const at = row * ADDRESS_WORDS;
    let slot = this.#peers.lookup(rx.addresses, at);
    if (slot !== NO_SLOT) {
      if (this.#peers.hasAlternatives && !this.#peers.isOwn(slot, rx.addresses, at)) this.#strangers += 1;
    } else {
      if (this.#isServer || !(this.#peers.has(0) || this.#awaited)) {
        this.#drop(rx, row, UNKNOWN_SOURCE);
        return;
      }
      if (!this.#float && !this.#awaited) {
        this.#drop(rx, row, OTHER_ADDRESS);
        return;
      }
      this.#strangers += 1;
      slot = 0;
    }
    rx.slot[row] = slot;
    rx.fate[row] = FATE_OPEN;
  }

  #classifyControl(rx: PacketVector, row: number, opcode: number): void {
    let slot = this.#peers.lookup(rx.addresses, row * ADDRESS_WORDS);
    if (slot === NO_SLOT) {
      if (this.#isServer || !this.#peers.has(0)) {
        this.#classifyOpening(rx, row, opcode);
        return;
      }
      if (!this.#float) {
        this.#drop(rx, row, OTHER_ADDRESS);
        return;
      }
      slot = 0;
    }
    if (!this.#quotas.takeControl(slot)) {
      this.#drop(rx, row, CONTROL_LIMIT);
      return;
    }
    rx.slot[row] = slot;
    rx.fate[row] = FATE_PUNT;
  }

  /** What a stranger may begin with; wire protocol of the stateless handshake, step 1. OpenVPN: tls_pre_decrypt_lite(). */
  #classifyOpening(rx: PacketVector, row: number, opcode: number): void {
    const opens =
      opcode === P_CONTROL_HARD_RESET_CLIENT_V2 ||
      opcode === P_CONTROL_HARD_RESET_CLIENT_V3 ||
      opcode === P_CONTROL_V1 ||
      opcode === P_CONTROL_WKC_V1 ||
      opcode === P_ACK_V1 ||
      // Point to point, either end may be the TLS server and speak first.
      (!this.#isServer && opcode === P_CONTROL_HARD_RESET_SERVER_V2);
    if (!opens || rx.length[row] < SMALLEST_OPENING_BYTES || keyIdOf(rx.bytes[rx.offset[row]]) !== 0) {
      this.#drop(rx, row, NO_OPENING);
      return;
    }
    if (!this.#quotas.takeOpening()) {
      this.#drop(rx, row, OPENING_LIMIT);
      return;
    }
    rx.slot[row] = NO_SLOT;
    rx.fate[row] = FATE_PUNT;
  }

  #isStream(rx: PacketVector, row: number): boolean {
    return this.#streamLinks.size > 0 && this.#streamLinks.has(rx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK]);
  }

  #checkSlot(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.#maxPeers) throw new RangeError(`no such slot: ${slot}`);
  }

  #drop(vector: PacketVector, row: number, code: number): void {
    vector.fate[row] = FATE_DROPPED;
    this.#drops[code] += 1;
  }
}

const NOBODY: readonly FloatedPeer[] = [];

// Indices of the counters, so that counting allocates and looks up nothing.
const EMPTY = EXTERNAL_DROP_CODES.indexOf('empty');
const SHORT = EXTERNAL_DROP_CODES.indexOf('short');
const OPCODE = EXTERNAL_DROP_CODES.indexOf('opcode');
const UNKNOWN_SOURCE = EXTERNAL_DROP_CODES.indexOf('unknown-source');
const UNKNOWN_PEER = EXTERNAL_DROP_CODES.indexOf('unknown-peer');
const OTHER_PROTOCOL = EXTERNAL_DROP_CODES.indexOf('other-protocol');
const OTHER_ADDRESS = EXTERNAL_DROP_CODES.indexOf('other-address');
const NO_OPENING = EXTERNAL_DROP_CODES.indexOf('no-opening');
const OPENING_LIMIT = EXTERNAL_DROP_CODES.indexOf('opening-limit');
const CONTROL_LIMIT = EXTERNAL_DROP_CODES.indexOf('control-limit');
const NO_ADDRESS = EXTERNAL_DROP_CODES.indexOf('no-address');
