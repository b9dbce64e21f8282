import type { CompressionAlgorithm, Frequency } from '@openvpnd/config';
import type { AcceptedSession, ControlAction, TlsMulti } from '@openvpnd/control-processor';
import type { ClientKeyMetadata, StatelessHandshake } from '@openvpnd/control-wrap';
import type { DataChannel, DataSignal, PeerSettings } from '@openvpnd/data-channel';
import type { Tunnel } from '@openvpnd/event-loop';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import { formatInnerAddress, formatPrefix, type InternalMux, type Prefix } from '@openvpnd/internal-mux';
import {
  ADDRESS_FAMILY,
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_PUNT,
  type LinkAddress,
  NO_SLOT,
  type PacketVector,
} from '@openvpnd/memory';
import { assertNever, DeadlineHeap, earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { MultiContext, MultiInstance } from '@openvpnd/tunnel-state';
import { emitOccMessage, type OccMessage } from '@openvpnd/wire';
import type { ClientAddressing } from './client-addressing.js';
import type { ClientConfigAnswer } from './client-config.js';
import { compressionSetting } from './compression.js';
import { FrequencyLimit } from './frequency-limit.js';
import { describeSignal, type RunSignal, type SignalInfo } from './host/signals.js';
import { applyKeyAction, type Carrier, type KeyAction, type KeyUse, packetShape } from './install-keys.js';
import { logLinkLost } from './log-link-lost.js';
import { logNegotiated } from './log-negotiated.js';
import { logRefusal } from './log-refusal.js';
import { type OccFacts, occAnswer } from './occ-answer.js';
import { pushedOptions } from './pushed-options.js';
import { type PeerDescription, ServerPeer } from './server-peer.js';
import { type ClientStatus, statusAddress } from './server-status.js';
import type { StreamConnections } from './stream-connections.js';
import { NO_ACTIONS, type TunnelAction } from './tunnel-action.js';

/** How long a server that said RESTART waits before it is gone, so that the message can be repeated once. */
const EXIT_NOTIFY_WAIT_MS = 2000;

/** How a client came to its instance. */
export interface ClientOrigin {
  /** Through the stateless handshake. */
  readonly accepted?: AcceptedSession;
  /** What its tls-crypt-v2 client key says. */
  readonly metadata?: ClientKeyMetadata;
}

export interface ServerTunnelOptions {
  readonly multiContext: MultiContext<ServerPeer>;
  readonly handshake: StatelessHandshake;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  readonly dataChannel: DataChannel;
  /** Makes the control channel of a new client. Its `wake` is to call {@link ServerTunnel.wakePeer} with the slot. */
  readonly createMulti: (slot: number, origin: ClientOrigin, log: Log) => TlsMulti;
  /** The TCP connections; empty over UDP. */
  readonly streams: StreamConnections;
  readonly addressing: ClientAddressing;
  /** Timers and limits of each client's data channel. */
  readonly peer: PeerSettings;
  /** --session-timeout; Infinity: none. */
  readonly sessionTimeoutMs: number;
  readonly keyUse: KeyUse;
  /** What OCC messages are answered with. */
  readonly occ: Pick<OccFacts, 'optionsString' | 'tunMtu'>;
  /** False with --mute-replay-warnings. */
  readonly replayWarnings: boolean;
  /** --push, with what `server` and `keepalive` add. */
  readonly push: readonly string[];
  /** --client-config-dir. */
  readonly clientConfig: (commonName: string) => ClientConfigAnswer;
  /** --explicit-exit-notify: 0 not at all, 1 RESTART, 2 RESTART,[N]. */
  readonly exitNotify: number;
  /** --connect-freq. */
  readonly connectFreq: Frequency | undefined;
  /** Ask with `verify-client-key` before a tls-crypt-v2 client is answered. */
  readonly verifiesKeys: boolean;
  /** A log whose lines name the client as `describe` calls it at that moment. */
  readonly peerLog: (describe: () => PeerDescription) => Log;
  readonly log: Log;
}

type Instance = MultiInstance<ServerPeer>;

/**
 * A server and all its clients, without any I/O. OpenVPN: tunnel_server(), multi_process_incoming_link(),
 * multi_process_incoming_tun().
 */
export class ServerTunnel implements Tunnel<TunnelAction> {
  readonly #options: ServerTunnelOptions;
  readonly #multiContext: MultiContext<ServerPeer>;
  readonly #mux: ExternalMux;
  readonly #dataChannel: DataChannel;
  readonly #deadlines: DeadlineHeap;
  /** Slots whose TLS engine has something to tell. */
  readonly #awake: Set<number> = new Set();
  readonly #connectLimit: FrequencyLimit | undefined;
  readonly #streams: StreamConnections;
  /** Streams whose client is gone. */
  readonly #unused: Set<number> = new Set();
  /** Instances whose client key is being judged. */
  readonly #judged: Map<number, Instance> = new Map();
  #keyRequests = 0;
  #exit: { readonly signal: RunSignal; readonly at: Instant } | undefined;
  #ended = false;
  #nextClientId = 0;

  constructor(options: ServerTunnelOptions) {
    this.#options = options;
    this.#multiContext = options.multiContext;
    this.#mux = options.mux;
    this.#dataChannel = options.dataChannel;
    const { connectFreq } = options;
    this.#connectLimit = connectFreq === undefined ? undefined : new FrequencyLimit(connectFreq);
    this.#streams = options.streams;
    this.#deadlines = new DeadlineHeap(options.multiContext.maxInstances);
  }

  handleLinkBatch(now: Instant, rx: PacketVector): readonly TunnelAction[] {
    const actions: TunnelAction[] = [];
    this.#mux.classifyBatch(now, rx);
    for (let row = 0; row < rx.count; row++) {
      if (rx.fate[row] !== FATE_PUNT) continue;
      // The vector is the loop's: what the control channel sees is a copy.
      const packet = rx.packet(row).slice();
      const slot = rx.slot[row];
      if (slot === NO_SLOT) {
        const address = rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
        this.#handleStranger(now, packet, address, actions);
      } else {
        this.#handleControl(now, slot, packet, actions);
      }
      rx.drop(row);
    }
    this.#dataChannel.openBatch(now, rx);
    for (const { slot, address } of this.#mux.floated(rx)) this.#float(slot, address);
    this.#options.internalMux.checkBatch(rx);
    this.#dataChannel.sealBatch(now, rx);
    this.#mux.addressBatch(rx);
    this.#handleSignals(now, actions);
    this.#closeUnused(actions);
    return actions.length === 0 ? NO_ACTIONS : actions;
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly TunnelAction[] {
    this.#options.internalMux.routeBatch(tx);
    this.#dataChannel.sealBatch(now, tx);
    this.#mux.addressBatch(tx);
    const actions: TunnelAction[] = [];
    this.#handleSignals(now, actions);
    this.#closeUnused(actions);
    return actions.length === 0 ? NO_ACTIONS : actions;
  }

  handleTimeout(now: Instant, out: PacketVector): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    const actions: TunnelAction[] = [];
    const awake = [...this.#awake];
    this.#awake.clear();
    for (const slot of awake) this.#drive(now, slot, actions, (multi) => multi.handleWake(now));
    // Each at most once a turn, whatever its next deadline is.
    for (const slot of this.#takeDue(now)) {
      this.#endSession(now, slot);
      this.#drive(now, slot, actions, (multi) => multi.handleTimeout(now));
    }
    this.#dataChannel.handleTimeout(now, out);
    this.#mux.addressBatch(out);
    this.#handleSignals(now, actions);
    for (const link of this.#streams.overdue(now)) this.#closeSilent(link);
    this.#closeUnused(actions);
    if (this.#exit !== undefined && now >= this.#exit.at) actions.push(this.#end(this.#exit.signal, 'hard', ''));
    return actions.length === 0 ? NO_ACTIONS : actions;
  }

  nextTimeout(): Instant {
    if (this.#ended) return NEVER;
    const own = earliest(this.#deadlines.earliest, this.#exit?.at ?? NEVER);
    return earliest(earliest(own, this.#streams.nextTimeout()), this.#dataChannel.nextTimeout());
  }

  /**
   * A TCP connection was accepted; its packets come from `address`, which names its link. The client is made of its first packet.
   * OpenVPN: multi_create_instance_tcp().
   */
  handleConnection(now: Instant, address: LinkAddress): readonly TunnelAction[] {
    const link = address[ADDRESS_LINK];
    if (this.#ended || this.#exit !== undefined) return [{ type: 'close-link', link }];
    this.#options.log.info('server.stream-established', { from: formatLinkAddress(address) });
    this.#mux.addStreamLink(link);
    const evicted = this.#streams.add(now, address);
    if (evicted !== undefined) this.#closeSilent(evicted);
    const actions: TunnelAction[] = [];
    this.#closeUnused(actions);
    return actions;
  }

  /** A TCP connection has ended, or its bytes make no sense: so has its client. OpenVPN: process_incoming_link_part1(). */
  handleLinkLost(_now: Instant, link: number, error: Error): readonly TunnelAction[] {
    const address = this.#streams.remove(link);
    if (address === undefined || this.#ended) return NO_ACTIONS;
    const instance = this.#multiContext.byAddress(address);
    logLinkLost(instance?.modules.log ?? this.#options.log, error, instance ? undefined : formatLinkAddress(address));
    if (instance !== undefined) {
      this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'connection-reset' });
    }
    this.#unused.add(link);
    const actions: TunnelAction[] = [];
    this.#closeUnused(actions);
    return actions;
  }

  /** A TLS engine of this client has something to tell; the caller also asks the loop for a turn. */
  wakePeer(slot: number): void {
    this.#awake.add(slot);
  }

  /** Number of clients that are connected, and of all that have a slot. */
  get population(): { readonly connected: number; readonly all: number } {
    let connected = 0;
    let all = 0;
    for (const instance of this.#multiContext.instances()) {
      all += 1;
      if (instance.modules.established) connected += 1;
    }
    return { connected, all };
  }

  /** What --status tells of each client. OpenVPN: multi_print_status(). */
  status(): readonly ClientStatus[] {
    return [...this.#multiContext.instances()].map(({ slot, address, since, modules: peer }) => {
      const counters = this.#dataChannel.counters(slot);
      const { assigned } = peer;
      const lastReference = Math.max(assigned?.at ?? since, this.#dataChannel.lastActive(slot));
      return {
        commonName: peer.commonName,
        realAddress: statusAddress(address),
        ipv4: assigned?.addresses.ipv4?.local,
        ipv6: assigned?.addresses.ipv6?.local,
        bytesReceived: peer.controlBytesIn + counters.receivedBytes,
        bytesSent: peer.controlBytesOut + counters.sentBytes,
        since,
        clientId: peer.clientId,
        peerId: slot,
        cipher: peer.cipherName,
        routes: (assigned?.routes ?? []).map((route) => ({ network: formatRoute(route), lastReference })),
      };
    });
  }

  /**
   * Ends the server: tells the clients to come back when the options ask for it, and raises the signal when they had time to hear
   * it. OpenVPN: multi_push_restart_schedule_exit().
   */
  beginExit(now: Instant, signal: RunSignal): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    const { exitNotify } = this.#options;
    const told = [...this.#multiContext.instances()].filter((instance) => instance.modules.established);
    if (exitNotify === 0 || told.length === 0) return [this.#end(signal, 'hard', '')];
    if (this.#exit !== undefined) return NO_ACTIONS;
    this.#exit = { signal, at: now + EXIT_NOTIFY_WAIT_MS };
    const actions: TunnelAction[] = [];
    for (const instance of told) {
      const text = exitNotify === 2 ? 'RESTART,[N]' : 'RESTART';
      this.#execute(now, instance, instance.modules.multi.sendControlMessage(now, text), actions);
    }
    return actions;
  }

  /** Ends all clients and frees their keys. Idempotent. */
  close(): void {
    this.#ended = true;
    for (const instance of [...this.#multiContext.instances()]) this.#remove(instance);
  }

  #handleStranger(now: Instant, packet: Uint8Array, address: LinkAddress, actions: TunnelAction[]): void {
    // A newcomer who got an answer now would be left alone with it: OpenVPN ignores him too while it shuts down.
    if (this.#exit !== undefined) return;
    if (this.#streams.has(address[ADDRESS_LINK])) {
      this.#handleFirstOnStream(now, packet, address, actions);
      return;
    }
    const answer = this.#options.handshake.handleFirstPacket(now, packet, address);
    switch (answer.type) {
      case 'reply':
        actions.push({ type: 'send-control', packet: answer.packet, to: address });
        return;
      case 'drop':
        this.#logStranger(answer.detail, address);
        return;
      case 'stateful':
        this.#begin(now, address, { metadata: answer.metadata }, packet, actions);
        return;
      case 'accept': {
        const metadata = answer.wrap.clientKey?.metadata;
        this.#begin(now, address, { accepted: answer, ...(metadata && { metadata }) }, answer.packet, actions);
        return;
      }
      default:
        assertNever(answer);
    }
  }

  #logStranger(reason: string | undefined, address: LinkAddress): void {
    if (reason === undefined) return;
    this.#options.log.warn('server.stranger-refused', { reason, from: formatLinkAddress(address) });
  }

  /** A connection proves the address: no cookie is asked for. */
  #handleFirstOnStream(now: Instant, packet: Uint8Array, address: LinkAddress, actions: TunnelAction[]): void {
    const link = address[ADDRESS_LINK];
    const verdict = this.#options.handshake.handleFirstOnStream(now, packet);
    if (verdict.type === 'drop') {
      this.#logStranger(verdict.detail, address);
      this.#unused.add(link);
      return;
    }
    this.#streams.markHeard(link);
    const { metadata } = verdict;
    this.#begin(now, address, metadata === undefined ? {} : { metadata }, packet, actions);
    if (this.#multiContext.byAddress(address) === undefined) this.#unused.add(link);
  }

  /** The first packet of a client, with which its instance is made; unwrapped already where it came with a cookie. */
  #begin(now: Instant, address: LinkAddress, origin: ClientOrigin, packet: Uint8Array, actions: TunnelAction[]): void {
    const instance = this.#createInstance(now, address, origin);
    if (instance === undefined) return;
    const peer = instance.modules;
    peer.controlBytesIn += packet.length;
    const unwrapped = origin.accepted !== undefined;
    if (origin.metadata !== undefined && this.#options.verifiesKeys) {
      const requestId = ++this.#keyRequests;
      peer.held = { requestId, packet, unwrapped };
      this.#judged.set(requestId, instance);
      const describe = (): string => peer.describe().name;
      actions.push({ type: 'verify-client-key', requestId, metadata: origin.metadata, describe });
    } else {
      this.#deliverFirst(now, instance, packet, unwrapped, actions);
    }
  }

  #deliverFirst(
    now: Instant,
    instance: Instance,
    packet: Uint8Array,
    unwrapped: boolean,
    actions: TunnelAction[],
  ): void {
    this.#drive(now, instance.slot, actions, (multi) =>
      unwrapped ? multi.handleUnwrapped(now, packet) : multi.handlePacket(now, packet),
    );
    // Without a session nothing would ever end it.
    if (!instance.modules.removed && instance.modules.multi.nextTimeout() === NEVER) this.#remove(instance);
  }

  /** The answer to a `verify-client-key`. OpenVPN: tls_crypt_v2_verify_metadata(). */
  handleClientKeyVerdict(now: Instant, requestId: number, admitted: boolean): readonly TunnelAction[] {
    const instance = this.#judged.get(requestId);
    this.#judged.delete(requestId);
    const held = instance?.modules.held;
    if (instance === undefined || held === undefined || instance.modules.removed) return NO_ACTIONS;
    instance.modules.held = undefined;
    const actions: TunnelAction[] = [];
    if (admitted) {
      this.#deliverFirst(now, instance, held.packet, held.unwrapped, actions);
    } else {
      instance.modules.log.error('server.client-key-refused');
      this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' });
    }
    return actions;
  }

  #createInstance(now: Instant, address: LinkAddress, origin: ClientOrigin): Instance | undefined {
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
      createLog: this.#options.peerLog,
      keyUse: this.#options.keyUse,
      createMulti: (peerLog) => this.#options.createMulti(slot, origin, peerLog),
    });
    peer.sessionEnd = now + this.#options.sessionTimeoutMs;
    const instance = this.#multiContext.add(slot, peer);
    this.#mux.addPeer(slot, address);
    this.#dataChannel.addPeer(slot, this.#options.peer, now);
    return instance;
  }

  #handleControl(now: Instant, slot: number, packet: Uint8Array, actions: TunnelAction[]): void {
    const peer = this.#multiContext.bySlot(slot)?.modules;
    if (peer !== undefined) peer.controlBytesIn += packet.length;
    if (this.#multiContext.bySlot(slot)?.modules.held !== undefined) return;
    this.#drive(now, slot, actions, (multi) => {
      const todo = multi.handlePacket(now, packet);
      // Whatever else comes from its address is no sign that the client lives.
      if (multi.heardAt === now) this.#dataChannel.noteControlReceived(slot, now);
      return todo;
    });
  }

  /** OpenVPN: check_session_timeout(). */
  #endSession(now: Instant, slot: number): void {
    const instance = this.#multiContext.bySlot(slot);
    if (instance === undefined || now < instance.modules.sessionEnd) return;
    instance.modules.log.info('server.session-timeout');
    this.#removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'session-timeout' });
  }

  #takeDue(now: Instant): readonly number[] {
    const due: number[] = [];
    while (this.#deadlines.earliest <= now) {
      due.push(this.#deadlines.first);
      this.#deadlines.set(this.#deadlines.first, NEVER);
    }
    return due;
  }

  /**
   * One step of a client's control channel, and what follows from it. A bug of ours that one client hits costs that client, not
   * its neighbours.
   */
  #drive(
    now: Instant,
    slot: number,
    actions: TunnelAction[],
    step: (multi: TlsMulti) => readonly ControlAction[],
  ): void {
    const instance = this.#multiContext.bySlot(slot);
    if (instance === undefined) return;
    try {
      this.#execute(now, instance, step(instance.modules.multi), actions);
    } catch (error) {
      instance.modules.log.error('server.internal-error', { message: String(error) });
      if (instance.modules.removed) return;
      this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'internal-error' });
    }
  }

  #execute(now: Instant, instance: Instance, todo: readonly ControlAction[], actions: TunnelAction[]): void {
    for (const action of todo) {
      if (instance.modules.removed) return;
      this.#executeOne(now, instance, action, actions);
    }
    const { multi, removed, sessionEnd } = instance.modules;
    if (!removed) this.#deadlines.set(instance.slot, earliest(multi.nextTimeout(), sessionEnd));
  }

  #executeOne(now: Instant, instance: Instance, action: ControlAction, actions: TunnelAction[]): void {
    const { slot, modules: peer } = instance;
    switch (action.type) {
      case 'send': {
        const to = this.#mux.addressOf(slot);
        if (to !== undefined) actions.push({ type: 'send-control', packet: action.packet, to });
        peer.controlBytesOut += action.packet.length;
        this.#dataChannel.noteControlSent(slot, now);
        return;
      }
      case 'install-keys':
        peer.shape = packetShape(action, peer.keyUse, carrierOf(instance));
        peer.cipherName = action.keys.cipher.name;
        this.#applyKeyAction(instance, action);
        return;
      case 'send-with':
      case 'retire-keys':
        this.#applyKeyAction(instance, action);
        return;
      case 'verify':
        this.#verify(now, instance, action, actions);
        return;
      case 'peer-initiated':
        this.#initiated(instance, action.commonName);
        return;
      case 'push-request':
        this.#push(now, instance, actions);
        return;
      case 'connected':
        peer.established = true;
        this.#multiContext.establish(slot);
        return;
      case 'negotiated':
        if (action.options.migratedCompression !== undefined) {
          this.#setCompression(now, instance, action.options.migratedCompression);
        }
        logNegotiated(peer.log, action.options, {
          peer: this.#options.peer,
          keyUse: peer.keyUse,
          exitNotify: this.#options.exitNotify,
        });
        return;
      case 'control-message':
        return;
      case 'session-lost':
        this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' });
        return;
      case 'exit':
        this.#removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'delayed-exit' });
        return;
      case 'pull':
      case 'auth-failed':
      case 'restart':
        // A client's business; the control channel of a server never says it.
        return;
      default:
        assertNever(action);
    }
  }

  #applyKeyAction(instance: Instance, action: KeyAction): void {
    applyKeyAction(this.#dataChannel, instance.slot, action, instance.modules.keyUse, carrierOf(instance));
  }

  #setCompression(now: Instant, instance: Instance, compression: CompressionAlgorithm | undefined): void {
    const { slot, modules: peer } = instance;
    if (peer.keyUse.compression === compression) return;
    peer.keyUse = { ...peer.keyUse, compression };
    this.#dataChannel.configurePeer(slot, { compression: compressionSetting(compression) }, now);
  }

  #verify(now: Instant, instance: Instance, request: VerifyAction, actions: TunnelAction[]): void {
    const { modules: peer } = instance;
    const commonName = request.certificates[0]?.commonName;
    if (!request.renegotiation) {
      for (const [key, value] of request.peerInfo) peer.log.info('peer-info', { line: `${key}=${value}` });
    }
    let verdict: Parameters<TlsMulti['handleVerdict']>[2];
    if (commonName === undefined || commonName === '') {
      peer.log.error('server.no-common-name');
      verdict = { type: 'reject' };
    } else {
      const answer = this.#options.clientConfig(commonName);
      if (answer.type === 'refused') {
        peer.log.error('server.client-config-refused', { commonName, reason: answer.reason });
        verdict = { type: 'reject' };
      } else if (answer.type === 'found' && answer.config.disabled) {
        peer.log.error('server.client-disabled', { commonName });
        verdict = { type: 'reject' };
      } else {
        if (!request.renegotiation) {
          peer.config = answer.type === 'found' ? answer.config : undefined;
          const { compression } = peer.config ?? {};
          if (compression !== undefined) this.#setCompression(now, instance, compression.algorithm);
        }
        verdict = { type: 'accept' };
      }
    }
    this.#execute(now, instance, peer.multi.handleVerdict(now, request.requestId, verdict), actions);
  }

  /** The client has proven who it is. */
  #initiated(instance: Instance, commonName: string | undefined): void {
    const { modules: peer } = instance;
    if (commonName === undefined) return;
    peer.commonName = commonName;
    for (const other of this.#multiContext.setCommonName(instance.slot, commonName)) {
      this.#options.log.warn('server.duplicate-common-name', { commonName });
      this.#remove(other);
    }
  }

  #push(now: Instant, instance: Instance, actions: TunnelAction[]): void {
    const { modules: peer, slot } = instance;
    const assigned = this.#options.addressing.assign(slot, peer.commonName ?? '', peer.config);
    if (assigned === undefined) {
      peer.log.error('server.pool-exhausted');
      this.#execute(now, instance, peer.multi.authFailed(now, undefined), actions);
      return;
    }
    peer.log.info('server.addresses', {
      ipv4: assigned.addresses.ipv4?.local,
      ipv6: assigned.addresses.ipv6?.local,
    });
    for (const route of assigned.routes) {
      const result = this.#options.internalMux.addRoute(slot, route);
      const network = formatRoute(route);
      if (result === 'added' || result === 'replaced') peer.log.info('server.learn', { network });
      else peer.log.warn('server.learn-refused', { network, reason: result });
    }
    peer.assigned = { addresses: assigned.addresses, routes: this.#options.internalMux.routesOf(slot), at: now };
    const options = pushedOptions(this.#options.push, peer.config, assigned.addresses);
    this.#execute(now, instance, peer.multi.sendPushReply(now, options), actions);
  }

  #float(slot: number, address: LinkAddress): void {
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

  #handleSignals(now: Instant, actions: TunnelAction[]): void {
    for (const signal of this.#dataChannel.takeSignals()) {
      const instance = this.#multiContext.bySlot(signal.slot);
      if (instance !== undefined) this.#handleSignal(now, instance, signal, actions);
    }
  }

  #handleSignal(now: Instant, instance: Instance, signal: DataSignal, actions: TunnelAction[]): void {
    const { multi, log } = instance.modules;
    switch (signal.type) {
      case 'renegotiate':
        this.#drive(now, instance.slot, actions, () => multi.renegotiate(now, signal.reason));
        return;
      case 'ping-restart':
      case 'ping-exit':
        log.info('server.inactivity-timeout', { action: signal.type });
        this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: signal.type });
        return;
      case 'inactive':
        log.info('server.inactivity-timeout', { action: signal.type });
        this.#removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'inactive' });
        return;
      case 'key-in-use':
        this.#execute(now, instance, multi.handleKeyInUse(now, signal.keyId), actions);
        return;
      case 'refused':
        logRefusal(log, signal, this.#options.replayWarnings);
        // Nothing is damaged or repeated on a stream by accident.
        if (instance.mode === 'CM_CHILD_TCP') {
          log.error('link.decryption-error');
          this.#removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'decryption-error' });
        }
        return;
      case 'occ':
        this.#handleOcc(now, instance, signal.message);
        return;
      default:
        assertNever(signal);
    }
  }

  #handleOcc(now: Instant, instance: Instance, message: OccMessage): void {
    const { slot, modules: peer } = instance;
    if (message.type === 'EXIT') {
      peer.log.info('server.remote-exit');
      this.#removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'remote-exit' });
      return;
    }
    const counters = this.#dataChannel.counters(slot);
    const answer = occAnswer(message, { ...this.#options.occ, shape: peer.shape, counters });
    if (answer !== undefined) this.#dataChannel.sendMessage(slot, emitOccMessage(answer), now);
  }

  #removeWith(instance: Instance, info: SignalInfo): void {
    instance.modules.log.info('server.client-signal', { text: describeSignal(info, 'client-instance') });
    this.#remove(instance);
  }

  #remove(instance: Instance): void {
    this.#multiContext.remove(instance.slot);
    this.#forget(instance);
  }

  /** Frees all that stands behind a slot. OpenVPN: multi_close_instance(). */
  #forget(instance: Instance): void {
    const { slot, modules: peer, address } = instance;
    peer.removed = true;
    if (instance.mode === 'CM_CHILD_TCP') this.#unused.add(address[ADDRESS_LINK]);
    this.#deadlines.set(slot, NEVER);
    this.#awake.delete(slot);
    this.#options.internalMux.removeRoutes(slot);
    this.#options.addressing.release(slot);
    this.#dataChannel.removePeer(slot);
    this.#mux.removePeer(slot);
    peer.multi.close();
  }

  /** Nobody has spoken OpenVPN on it for --hand-window, or there is no room for so many who do not. */
  #closeSilent(link: number): void {
    const address = this.#streams.remove(link);
    if (address === undefined) return;
    this.#options.log.warn('server.stream-silent', { stranger: formatLinkAddress(address) });
    this.#unused.add(link);
  }

  #closeUnused(actions: TunnelAction[]): void {
    if (this.#unused.size === 0) return;
    for (const link of this.#unused) {
      this.#streams.remove(link);
      this.#mux.removeStreamLink(link);
      actions.push({ type: 'close-link', link });
    }
    this.#unused.clear();
  }

  #end(signal: RunSignal, source: 'hard' | 'soft', text: string): TunnelAction {
    this.#ended = true;
    return { type: 'signal', info: { signal, source, text } };
  }
}

function carrierOf(instance: Instance): Carrier {
  return { ipv6: instance.address[ADDRESS_FAMILY] === 6, stream: instance.mode === 'CM_CHILD_TCP' };
}

/** As OpenVPN prints it: an address alone, or a network with its length. */
function formatRoute(route: Prefix): string {
  const isHost = route.length === route.address.length * 8;
  return isHost ? formatInnerAddress(route.address) : formatPrefix(route);
}

type VerifyAction = Extract<ControlAction, { readonly type: 'verify' }>;
