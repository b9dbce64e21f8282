import type { Frequency } from '@openvpnd/config';
import type { TlsMulti } from '@openvpnd/control-processor';
import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import type { DataChannel, PeerSettings } from '@openvpnd/data-channel';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import type { InternalMux } from '@openvpnd/internal-mux';
import { ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { DeadlineHeap, earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { MultiContext, MultiInstance } from '@openvpnd/tunnel-state';
import type { ClientAddressing } from './client-addressing.js';
import { FrequencyLimit } from './frequency-limit.js';
import { describeSignal, type SignalInfo } from './host/signals.js';
import type { KeyUse } from './install-keys.js';
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
  /** Makes the control channel of a new client, whose tls-crypt-v2 key says `metadata`. Its `wake` is to call `ServerTunnel.wakePeer` with the slot. */
  readonly createMulti: (slot: number, metadata: ClientKeyMetadata | undefined, log: Log) => TlsMulti;
  /** Timers and limits of each client's data channel. */
  readonly peer: PeerSettings;
  readonly keyUse: KeyUse;
  /** --session-timeout; Infinity: none. */
  readonly sessionTimeoutMs: number;
  /** --connect-freq. */
  readonly connectFreq: Frequency | undefined;
  /** A log whose lines name the client as `describe` calls it at that moment. */
  readonly peerLog: (describe: () => PeerDescription) => Log;
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
  readonly #connectLimit: FrequencyLimit | undefined;
  #nextClientId = 0;

  constructor(options: ServerClientsOptions) {
    this.#options = options;
    this.#multiContext = options.multiContext;
    this.#mux = options.mux;
    this.#internalMux = options.internalMux;
    this.#dataChannel = options.dataChannel;
    this.#addressing = options.addressing;
    this.#streams = options.streams;
    this.#deadlines = new DeadlineHeap(options.multiContext.maxInstances);
    const { connectFreq } = options;
    this.#connectLimit = connectFreq === undefined ? undefined : new FrequencyLimit(connectFreq);
  }

  create(now: Instant, address: LinkAddress, metadata: ClientKeyMetadata | undefined): Instance | undefined {
    const { log } = this.#options;
    // Only who has shown a cookie, or whose key is good, comes so far: a flood of strangers does not use it up.
    if (!(this.#connectLimit?.take(now) ?? true)) {
      log.warn('server.connect-frequency', { from: formatLinkAddress(address).replace(/^\[AF_INET6?\]/, '') });
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
      clientId: this.#nextClientId++,
      keyMetadata: metadata,
      createLog: this.#options.peerLog,
      keyUse: this.#options.keyUse,
      createMulti: (peerLog) => this.#options.createMulti(slot, metadata, peerLog),
    });
    peer.sessionEnd = now + this.#options.sessionTimeoutMs;
    const instance = this.#multiContext.add(slot, peer);
    this.#mux.addPeer(slot, address);
    this.#dataChannel.addPeer(slot, this.#options.peer, now);
    return instance;
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

  /** It is authenticated and has keys. */
  establish(instance: Instance): void {
    instance.modules.established = true;
    this.#multiContext.establish(instance.slot);
  }

  float(slot: number, address: LinkAddress): void {
    const peer = this.#multiContext.bySlot(slot)?.modules;
    if (peer === undefined) return;
    const to = formatLinkAddress(address);
    // Both tables agree on who holds an address.
    if (this.#mux.commitFloat(slot, address) && this.#multiContext.setAddress(slot, address)) {
      peer.log.info('server.float', { to });
      peer.address = to;
    } else {
      peer.log.warn('server.float-refused', { to });
    }
  }

  removeWith(instance: Instance, info: SignalInfo): void {
    instance.modules.log.info('server.client-signal', { text: describeSignal(info, 'client-instance') });
    this.remove(instance);
  }

  remove(instance: Instance): void {
    this.#multiContext.remove(instance.slot);
    this.#forget(instance);
  }

  /** When the control channel of a client wants its turn, beside the end of its session. */
  schedule(instance: Instance): void {
    const { multi, removed, sessionEnd } = instance.modules;
    if (!removed) this.#deadlines.set(instance.slot, earliest(multi.nextTimeout(), sessionEnd));
  }

  /** Slots whose deadline has come, each once. */
  takeDue(now: Instant): readonly number[] {
    const due: number[] = [];
    while (this.#deadlines.earliest <= now) {
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

  /** Slots that were woken since the last call. */
  takeAwake(): readonly number[] {
    const awake = [...this.#awake];
    this.#awake.clear();
    return awake;
  }

  /** Frees all that stands behind a slot. OpenVPN: multi_close_instance(). */
  #forget(instance: Instance): void {
    const { slot, modules: peer, address } = instance;
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
