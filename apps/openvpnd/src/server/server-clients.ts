import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import type { DataChannel, PeerSettings } from '@openvpnd/data-channel';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import type { InternalMux } from '@openvpnd/internal-mux';
import { ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { DeadlineHeap, earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { MultiContext, MultiInstance } from '@openvpnd/tunnel-state';
import { describeSignal, type SignalInfo } from '../host/signals.js';
import type { KeyUse } from '../install-keys.js';
import type { ClientAddressing } from './client-addressing.js';
import { formatArrival, type ServerListener } from './server-listener.js';
import { type PeerDescription, ServerPeer } from './server-peer.js';
import type { StreamConnections } from './stream-connections.js';

/** One client of a server. */
export type Instance = MultiInstance<ServerPeer>;

export interface ServerClientsOptions {
  readonly multiContext: MultiContext<ServerPeer>;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  readonly dataChannel: DataChannel;
  readonly addressing: ClientAddressing;
  /** The TCP connections; empty over UDP. */
  readonly streams: StreamConnections;
  /** Timers and limits of each client's data channel. */
  readonly peer: PeerSettings;
  readonly keyUse: KeyUse;
  /** --session-timeout; Infinity: none. */
  readonly sessionTimeoutMs: number;
  /** A log whose lines name the client as `describe` calls it at that moment. */
  readonly peerLog: (describe: () => PeerDescription) => Log;
  /** Told how many are connected, whenever that changes. */
  readonly connected?: (clients: number) => void;
  readonly log: Log;
}

/**
 * The clients of a server with all that stands behind their slots: tables of both multiplexers, keys, addresses, deadlines. What they say
 * to each other is `ServerControl`'s. OpenVPN: multi_create_instance(), multi_close_instance().
 */
export class ServerClients {
  readonly #options: ServerClientsOptions;
  readonly #multiContext: MultiContext<ServerPeer>;
  readonly #mux: ExternalMux;
  readonly #internalMux: InternalMux;
  readonly #dataChannel: DataChannel;
  readonly #addressing: ClientAddressing;
  readonly #streams: StreamConnections;
  readonly #deadlines: DeadlineHeap;
  /** Slots whose TLS engine has something to tell. */
  readonly #awake: Set<number> = new Set();
  /** How many came at each listener. */
  readonly #perListener: Map<ServerListener, number> = new Map();
  #nextClientId = 0;
  #connected = 0;

  constructor(options: ServerClientsOptions) {
    this.#options = options;
    this.#multiContext = options.multiContext;
    this.#mux = options.mux;
    this.#internalMux = options.internalMux;
    this.#dataChannel = options.dataChannel;
    this.#addressing = options.addressing;
    this.#streams = options.streams;
    this.#deadlines = new DeadlineHeap(options.multiContext.maxInstances);
  }

  /** Makes a client of who came to a listener with that tls-crypt-v2 key, or tells the log why not. */
  create(
    now: Instant,
    address: LinkAddress,
    metadata: ClientKeyMetadata | undefined,
    listener: ServerListener,
  ): Instance | undefined {
    const { log } = this.#options;
    const from = formatArrival(address, listener);
    // Only who has shown a cookie, or whose key is good, comes so far: a flood of strangers does not use it up.
    if (!(listener.connectLimit?.take(now) ?? true)) {
      log.warn('server.connect-frequency', { from: from.replace(/^\[AF_INET6?\]/, '') });
      return undefined;
    }
    if (!this.#makeRoomAt(listener)) {
      log.warn('server.full', { maxClients: listener.maxClients, listener: listener.tag });
      return undefined;
    }
    const protocol = this.#streams.has(address[ADDRESS_LINK]) ? 'tcp' : 'udp';
    const placed = this.#multiContext.allocate(now, address, protocol);
    if (placed.evicted !== undefined) this.#forget(placed.evicted);
    const slot = placed.slot;
    if (slot === undefined) {
      log.warn('server.full', { maxClients: this.#multiContext.maxInstances });
      return undefined;
    }
    const peer = new ServerPeer({
      address: formatLinkAddress(address),
      listener,
      clientId: this.#nextClientId++,
      keyMetadata: metadata,
      createLog: this.#options.peerLog,
      keyUse: this.#options.keyUse,
      createMulti: (peerLog) => listener.createMulti(slot, metadata, peerLog),
    });
    peer.sessionEnd = now + this.#options.sessionTimeoutMs;
    const instance = this.#multiContext.add(slot, peer);
    this.#mux.addPeer(slot, address);
    this.#dataChannel.addPeer(slot, this.#options.peer, now);
    this.#count(listener, 1);
    return instance;
  }

  /** How many are connected. */
  get connected(): number {
    return this.#connected;
  }

  /** All clients in the order of their slots. The iteration bears removals. */
  all(): Iterable<Instance> {
    return this.#multiContext.instances();
  }

  bySlot(slot: number): Instance | undefined {
    return this.#multiContext.bySlot(slot);
  }

  byAddress(address: LinkAddress): Instance | undefined {
    return this.#multiContext.byAddress(address);
  }

  /** The client has proven its name. Others of that name go, unless `--duplicate-cn`. */
  setCommonName(instance: Instance, commonName: string): void {
    instance.modules.commonName = commonName;
    for (const other of this.#multiContext.setCommonName(instance.slot, commonName)) {
      this.#options.log.warn('server.duplicate-common-name', { commonName });
      this.remove(other);
    }
  }

  /** It is authenticated and has keys; again, when it has come back in its place. */
  establish(instance: Instance): void {
    if (instance.modules.established) return;
    instance.modules.established = true;
    this.#multiContext.establish(instance.slot);
    this.#countConnected(1);
  }

  /**
   * A client has spoken from a new address: a packet with a valid tag and a fresh id came from there. It moves, unless it came to another
   * listener, with other keys and limits, or another user is at that address; an older session of the same user there is over.
   * OpenVPN: multi_process_float().
   */
  float(slot: number, address: LinkAddress, listener: ServerListener | undefined): void {
    const instance = this.#multiContext.bySlot(slot);
    if (instance === undefined) return;
    const { modules: peer } = instance;
    const to = formatLinkAddress(address);
    if (listener !== peer.listener) {
      peer.log.warn('server.float-refused', { to, by: 'listener' });
      return;
    }
    const holder = this.#multiContext.byAddress(address);
    if (holder !== undefined && holder !== instance) {
      if (!sameUser(peer, holder.modules)) {
        peer.log.warn('server.float-refused', { to, by: 'client' });
        return;
      }
      peer.log.info('server.float-collision', { closed: holder.modules.describe().name });
      this.remove(holder);
    }
    // Both tables agree on who holds an address.
    if (!this.#mux.commitFloat(slot, address) || !this.#multiContext.setAddress(slot, address)) return;
    peer.log.info('server.float', { slot, from: peer.address, to });
    peer.address = to;
  }

  removeWith(instance: Instance, info: SignalInfo): void {
    instance.modules.log.info('server.client-signal', { text: describeSignal(info, 'client-instance') });
    this.remove(instance);
  }

  remove(instance: Instance): void {
    this.#multiContext.remove(instance.slot);
    this.#forget(instance);
  }

  /** When the control channel of a client wants its turn, beside its next token and the end of its session. */
  schedule(instance: Instance): void {
    const { multi, removed, sessionEnd, token } = instance.modules;
    const own = earliest(sessionEnd, token?.renewAt ?? NEVER);
    if (!removed) this.#deadlines.set(instance.slot, earliest(multi.nextTimeout(), own));
  }

  /** Slots whose deadline has come, each once; the earliest `most` of them. */
  takeDue(now: Instant, most: number): readonly number[] {
    const due: number[] = [];
    while (due.length < most && this.#deadlines.earliest <= now) {
      due.push(this.#deadlines.first);
      this.#deadlines.set(this.#deadlines.first, NEVER);
    }
    return due;
  }

  nextTimeout(): Instant {
    return this.#deadlines.earliest;
  }

  /** OpenVPN: check_session_timeout(). */
  endSession(now: Instant, slot: number): void {
    const instance = this.#multiContext.bySlot(slot);
    if (instance === undefined || now < instance.modules.sessionEnd) return;
    instance.modules.log.info('server.session-timeout');
    this.removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'session-timeout' });
  }

  /** A TLS engine of this client has something to tell. */
  wake(slot: number): void {
    this.#awake.add(slot);
  }

  /** Whether a slot was woken and not taken yet. */
  get someAwake(): boolean {
    return this.#awake.size > 0;
  }

  /** Slots that were woken and not taken yet, in that order; the first `most` of them. */
  takeAwake(most: number): readonly number[] {
    const awake: number[] = [];
    for (const slot of this.#awake) {
      if (awake.length === most) break;
      awake.push(slot);
    }
    for (const slot of awake) this.#awake.delete(slot);
    return awake;
  }

  /** Whether a newcomer fits into a listener's own limit: as in the whole server, the oldest who is half-open goes for it, if there is one. */
  #makeRoomAt(listener: ServerListener): boolean {
    if ((this.#perListener.get(listener) ?? 0) < listener.maxClients) return true;
    let oldest: Instance | undefined;
    for (const instance of this.#multiContext.instances()) {
      if (instance.modules.listener !== listener || instance.state !== 'half-open') continue;
      if (oldest === undefined || instance.since < oldest.since) oldest = instance;
    }
    if (oldest === undefined) return false;
    this.remove(oldest);
    return true;
  }

  #count(listener: ServerListener, more: 1 | -1): void {
    this.#perListener.set(listener, (this.#perListener.get(listener) ?? 0) + more);
  }

  #countConnected(more: 1 | -1): void {
    this.#connected += more;
    this.#options.connected?.(this.#connected);
  }

  /** Frees all that stands behind a slot. OpenVPN: multi_close_instance(). */
  #forget(instance: Instance): void {
    const { slot, modules: peer, address } = instance;
    if (!peer.removed) {
      this.#count(peer.listener, -1);
      if (peer.established) this.#countConnected(-1);
    }
    peer.removed = true;
    if (instance.mode === 'CM_CHILD_TCP') this.#streams.markUnused(address[ADDRESS_LINK]);
    this.#deadlines.set(slot, NEVER);
    this.#awake.delete(slot);
    this.#internalMux.removeRoutes(slot);
    this.#addressing.release(slot);
    this.#dataChannel.removePeer(slot);
    this.#mux.removePeer(slot);
    peer.multi.close();
  }
}

/** Whether two sessions are certainly those of one user: the same name, proven with the same certificates. */
function sameUser(a: ServerPeer, b: ServerPeer): boolean {
  if (a.commonName === undefined || a.certificates === undefined || b.certificates === undefined) return false;
  return a.commonName === b.commonName && a.certificates === b.certificates;
}
