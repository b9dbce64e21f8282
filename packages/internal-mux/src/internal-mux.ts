import {
  type ChangeCount,
  FATE_DROPPED,
  FATE_INNER,
  FATE_SEAL,
  FATE_TO_DEVICE,
  NO_SLOT,
  type PacketVector,
} from '@openvpnd/memory';
import { INTERNAL_DROP_CODES, type InternalDropCode } from './drop-code.js';
import { formatPrefix, type InnerAddress, type Prefix, prefixOf } from './inner-address.js';
import { destinationOffset, innerVersion, isForMany, isUnrouted, MALFORMED, sourceOffset } from './inner-header.js';
import type { OuterTransport } from './outer-transport.js';
import { PrefixTable } from './prefix-table.js';

/** OpenVPN's `--max-routes-per-client`. */
const DEFAULT_MAX_ROUTES_PER_PEER = 256;
/** Routes of all peers together: at 24 bytes each the tables stay below 32 MiB. */
const DEFAULT_MAX_ROUTES = 262_144;

export interface InternalMuxOptions {
  /** `server`: peers are found by their routes. `client`: everything goes to and comes from slot 0. */
  readonly role: 'server' | 'client';
  /** `--client-to-client`: packets from peer to peer turn round here instead of going through the device. */
  readonly clientToClient?: boolean;
  /** Moves whenever a packet may be decided about otherwise than before. */
  readonly changes?: ChangeCount;
  readonly maxRoutesPerPeer?: number;
  readonly maxRoutes?: number;
}

/**
 * What became of a route: `added`; `replaced`, when another peer had it (the newest has it, as in OpenVPN's multi_learn_addr()); `quota`, when the peer
 * has as many as it may; `full`, when all have.
 */
export type AddRouteResult = 'added' | 'replaced' | 'quota' | 'full';

/**
 * From inner packets to peers: routes what comes from the device, checks what comes from peers. Edits vectors in place and allocates nothing for a packet.
 * OpenVPN: multi_process_incoming_tun(), multi_process_incoming_link()'s second half, mroute.c.
 */
export class InternalMux {
  readonly #isServer: boolean;
  readonly #clientToClient: boolean;
  readonly #changes: ChangeCount | undefined;
  readonly #maxRoutesPerPeer: number;
  readonly #maxRoutes: number;
  readonly #ipv4: PrefixTable = new PrefixTable(4);
  readonly #ipv6: PrefixTable = new PrefixTable(6);
  /** The routes of each peer, by their text. */
  readonly #routes: Map<number, Map<string, Prefix>> = new Map();
  /** The slots that have routes, for packets to many; undefined since they changed. */
  #listed: Uint32Array<ArrayBuffer> | undefined;
  /** With whom the next packet for many begins: when there is no room for all, it shall not always be the same who miss it. */
  #turn = 0;
  #transport: OuterTransport | undefined;
  readonly #drops: Float64Array<ArrayBuffer> = new Float64Array(INTERNAL_DROP_CODES.length);

  constructor(options: InternalMuxOptions) {
    this.#isServer = options.role === 'server';
    this.#clientToClient = options.clientToClient ?? false;
    this.#changes = options.changes;
    this.#maxRoutesPerPeer = options.maxRoutesPerPeer ?? DEFAULT_MAX_ROUTES_PER_PEER;
    this.#maxRoutes = options.maxRoutes ?? DEFAULT_MAX_ROUTES;
  }

  /** Routes a network to a peer: its own address (all bits long), or one behind it (`--iroute`). Copied; bits behind the length are ignored. */
  addRoute(slot: number, prefix: Prefix): AddRouteResult {
    const route = prefixOf(prefix.address, prefix.length);
    const table = this.#tableOf(route);
    const key = formatPrefix(route);
    const owner = table.get(route);
    if (owner === slot) return 'added';
    const own = this.#routes.get(slot);
    if ((own?.size ?? 0) >= this.#maxRoutesPerPeer) return 'quota';
    if (owner === NO_SLOT && this.routeCount >= this.#maxRoutes) return 'full';
    this.#changes?.bump();
    if (owner !== NO_SLOT) this.#forget(owner, key);
    table.set(route, slot);
    if (own === undefined) {
      this.#routes.set(slot, new Map([[key, route]]));
      this.#listed = undefined;
    } else {
      own.set(key, route);
    }
    return owner === NO_SLOT ? 'added' : 'replaced';
  }

  /** Takes all routes of a peer away. Returns how many it had. */
  removeRoutes(slot: number): number {
    const own = this.#routes.get(slot);
    if (own === undefined) return 0;
    this.#changes?.bump();
    for (const route of own.values()) this.#tableOf(route).delete(route);
    this.#routes.delete(slot);
    this.#listed = undefined;
    return own.size;
  }

  /** Takes one route of a peer away. Returns whether the peer had it. */
  removeRoute(slot: number, prefix: Prefix): boolean {
    const route = prefixOf(prefix.address, prefix.length);
    const table = this.#tableOf(route);
    if (table.get(route) !== slot) return false;
    this.#changes?.bump();
    table.delete(route);
    this.#forget(slot, formatPrefix(route));
    return true;
  }

  /** The routes of a peer, in the order in which they came. */
  routesOf(slot: number): readonly Prefix[] {
    return [...(this.#routes.get(slot)?.values() ?? [])];
  }

  /** Routes of all peers. */
  get routeCount(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }

  /** The peer that an address is routed to; NO_SLOT when to none. For the control path. */
  lookup(address: InnerAddress): number {
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    return (address.length === 4 ? this.#ipv4 : this.#ipv6).lookup(view, 0);
  }

  /** Client: packets of this transport are dropped when they come from the device; undefined: none. OpenVPN: drop_if_recursive_routing(). */
  guard(transport: OuterTransport | undefined): void {
    this.#changes?.bump();
    this.#transport = transport;
  }

  /**
   * Whether what `routeBatch` decided about a packet from the device, or `checkBatch` about one from a peer, holds for every packet between the same two addresses
   * until something changes. It does not where ports count too: towards the guarded transport.
   */
  decidesByAddresses(vector: PacketVector, row: number): boolean {
    if (this.#transport === undefined) return true;
    const at = vector.offset[row];
    const version = innerVersion(vector.view, at, vector.length[row]);
    return version !== MALFORMED && !this.#transport.isAt(version, vector.view, at);
  }

  /** Finds the peer for each packet from the device: rows INNER become SEAL with their slot, or DROPPED. What is for many is copied into further rows. */
  routeBatch(tx: PacketVector): void {
    const rows = tx.count;
    for (let row = 0; row < rows; row += 1) {
      if (tx.fate[row] !== FATE_INNER) continue;
      const at = tx.offset[row];
      const version = innerVersion(tx.view, at, tx.length[row]);
      if (version === MALFORMED) {
        this.#drop(tx, row, DROP_MALFORMED);
      } else if (!this.#isServer) {
        if (this.#transport?.carries(version, tx.view, at, tx.length[row])) {
          this.#drop(tx, row, DROP_RECURSIVE);
          continue;
        }
        tx.slot[row] = 0;
        tx.fate[row] = FATE_SEAL;
      } else if (isForMany(version, tx.view, at + destinationOffset(version))) {
        this.#spread(tx, row);
      } else {
        const slot = (version === 4 ? this.#ipv4 : this.#ipv6).lookup(tx.view, at + destinationOffset(version));
        if (slot === NO_SLOT) {
          this.#drop(tx, row, DROP_NO_ROUTE);
        } else {
          tx.slot[row] = slot;
          tx.fate[row] = FATE_SEAL;
        }
      }
    }
  }

  /**
   * Checks each packet from a peer: rows INNER become TO_DEVICE; with client-to-client and a destination behind a peer SEAL with that peer's slot; or DROPPED, when the
   * source is not routed to the sender.
   */
  checkBatch(rx: PacketVector): void {
    const rows = rx.count;
    for (let row = 0; row < rows; row += 1) {
      if (rx.fate[row] !== FATE_INNER) continue;
      const at = rx.offset[row];
      const version = innerVersion(rx.view, at, rx.length[row]);
      if (version === MALFORMED) this.#drop(rx, row, DROP_MALFORMED);
      else if (!this.#isServer) rx.fate[row] = FATE_TO_DEVICE;
      else this.#checkRow(rx, row, version);
    }
  }

  /** How many packets were dropped for one reason, since the beginning. */
  dropCount(code: InternalDropCode): number {
    return this.#drops[INTERNAL_DROP_CODES.indexOf(code)];
  }

  /** How many packets were dropped for each reason, since the beginning. A copy. */
  dropCounts(): Record<InternalDropCode, number> {
    const counts = {} as Record<InternalDropCode, number>;
    for (const [index, code] of INTERNAL_DROP_CODES.entries()) counts[code] = this.#drops[index];
    return counts;
  }

  #checkRow(rx: PacketVector, row: number, version: 4 | 6): void {
    const at = rx.offset[row];
    const table = version === 4 ? this.#ipv4 : this.#ipv6;
    const source = at + sourceOffset(version);
    const sender = rx.slot[row];
    if (sender === NO_SLOT || table.lookup(rx.view, source) !== sender) {
      this.#drop(rx, row, version === 6 && isUnrouted(rx.view, source) ? DROP_UNROUTED_SOURCE : DROP_SOURCE);
      return;
    }
    rx.fate[row] = FATE_TO_DEVICE;
    if (!this.#clientToClient) return;
    const destination = at + destinationOffset(version);
    if (isForMany(version, rx.view, destination)) {
      // The device gets the packet too: the server's network may want it.
      this.#copyToMembers(rx, row, sender);
      return;
    }
    const slot = table.lookup(rx.view, destination);
    if (slot === NO_SLOT) return;
    // It goes out again with a header of ours in front, where another row's packet may lie.
    if (!rx.settle(row)) {
      this.#drop(rx, row, DROP_COPY);
      return;
    }
    rx.slot[row] = slot;
    rx.fate[row] = FATE_SEAL;
  }

  /** A packet from the device for many: the row itself serves as one of the copies. */
  #spread(tx: PacketVector, row: number): void {
    const members = this.#members();
    if (members.length === 0) {
      this.#drop(tx, row, DROP_NO_ROUTE);
      return;
    }
    const first = members[this.#turn % members.length];
    this.#copyToMembers(tx, row, first);
    tx.slot[row] = first;
    tx.fate[row] = FATE_SEAL;
  }

  /** Appends a copy of a row for each peer but `except`, as far as there is room. */
  #copyToMembers(vector: PacketVector, row: number, except: number): void {
    const members = this.#members();
    const start = this.#turn % members.length;
    const length = vector.length[row];
    let copied = 0;
    for (let step = 0; step < members.length; step += 1) {
      const slot = members[(start + step) % members.length];
      if (slot === except) continue;
      const copy = length > vector.packetBytes ? -1 : vector.append();
      if (copy < 0) {
        this.#drops[DROP_COPY] += 1;
        continue;
      }
      copied += 1;
      vector.bytes.copyWithin(vector.offset[copy], vector.offset[row], vector.offset[row] + length);
      vector.length[copy] = length;
      vector.segments[copy] = vector.segments[row];
      vector.segmentBytes[copy] = vector.segmentBytes[row];
      vector.slot[copy] = slot;
      vector.fate[copy] = FATE_SEAL;
    }
    this.#turn = start + copied + 1;
  }

  #tableOf(route: Prefix): PrefixTable {
    return route.address.length === 4 ? this.#ipv4 : this.#ipv6;
  }

  #forget(slot: number, key: string): void {
    const own = this.#routes.get(slot);
    own?.delete(key);
    if (own?.size !== 0) return;
    this.#routes.delete(slot);
    this.#listed = undefined;
  }

  /** Made for the first packet that needs it: while many clients come, nobody may ask. */
  #members(): Uint32Array<ArrayBuffer> {
    this.#listed ??= Uint32Array.from(this.#routes.keys());
    return this.#listed;
  }

  #drop(vector: PacketVector, row: number, code: number): void {
    vector.fate[row] = FATE_DROPPED;
    this.#drops[code] += 1;
  }
}

// Indices of the counters, so that counting allocates and looks up nothing.
const DROP_MALFORMED = INTERNAL_DROP_CODES.indexOf('malformed');
const DROP_NO_ROUTE = INTERNAL_DROP_CODES.indexOf('no-route');
const DROP_SOURCE = INTERNAL_DROP_CODES.indexOf('source');
const DROP_UNROUTED_SOURCE = INTERNAL_DROP_CODES.indexOf('unrouted-source');
const DROP_RECURSIVE = INTERNAL_DROP_CODES.indexOf('recursive');
const DROP_COPY = INTERNAL_DROP_CODES.indexOf('copy');
