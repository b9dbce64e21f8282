import type { DataChannel } from '@openvpnd/data-channel';
import type { Tunnel } from '@openvpnd/event-loop';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import { noteTrafficClass } from '@openvpnd/internal-mux';
import { ADDRESS_LINK, ADDRESS_WORDS, FATE_PUNT, type LinkAddress, NO_SLOT, type PacketVector } from '@openvpnd/memory';
import { earliest, type Instant, NEVER } from '@openvpnd/sans-io';
import type { PasswordAnswer, PendingAuthentication } from '../host/password-program.js';
import type { RunSignal } from '../host/signals.js';
import { logLinkLost } from '../link/log-link-lost.js';
import { NO_ACTIONS, type TunnelAction } from '../tunnel-action.js';
import { ClientAdmission, type ClientAdmissionOptions } from './client-admission.js';
import { CONTROL_STEPS_PER_BATCH, ControlBacklog } from './control-backlog.js';
import { Newcomers, type NewcomersOptions } from './newcomers.js';
import { type PushUpdateResult, PushUpdates, type PushUpdateTarget } from './push-updates.js';
import { type Instance, ServerClients, type ServerClientsOptions } from './server-clients.js';
import { formatRoute, ServerControl, type ServerControlOptions } from './server-control.js';
import { formatArrival, type ServerListener } from './server-listener.js';
import { type ClientStatus, statusAddress } from './server-status.js';
import type { StreamConnections } from './stream-connections.js';

/** How long a server that said RESTART waits before it is gone, so that the message can be repeated once. */
const EXIT_NOTIFY_WAIT_MS = 2000;
/** A deadline that has come. */
const AT_ONCE: Instant = 0;

/** What a server is made of. */
export interface ServerTunnelOptions
  extends ServerClientsOptions,
    Omit<ServerControlOptions, 'clients' | 'admission'>,
    ClientAdmissionOptions,
    Omit<NewcomersOptions, 'clients' | 'control' | 'listenerOf'> {
  /** At least one. */
  readonly listeners: readonly ServerListener[];
  /** --passtos */
  readonly passTos: boolean;
}

/**
 * A server and all its clients, without any I/O. OpenVPN: tunnel_server(), multi_process_incoming_link(),
 * multi_process_incoming_tun().
 */
export class ServerTunnel implements Tunnel<TunnelAction> {
  readonly #options: ServerTunnelOptions;
  readonly #clients: ServerClients;
  readonly #control: ServerControl;
  readonly #newcomers: Newcomers;
  readonly #updates: PushUpdates;
  readonly #mux: ExternalMux;
  readonly #dataChannel: DataChannel;
  readonly #streams: StreamConnections;
  /** Which listener each link came of, datagram links and connections alike. */
  readonly #listeners: Map<number, ServerListener> = new Map();
  readonly #backlog: ControlBacklog<Instance> = new ControlBacklog();
  #exit: { readonly signal: RunSignal; readonly at: Instant } | undefined;
  #ended = false;

  constructor(options: ServerTunnelOptions) {
    this.#options = options;
    this.#mux = options.mux;
    this.#dataChannel = options.dataChannel;
    this.#streams = options.streams;
    const clients = new ServerClients(options);
    const control = new ServerControl({ ...options, clients, admission: new ClientAdmission(options) });
    this.#clients = clients;
    this.#control = control;
    this.#newcomers = new Newcomers({
      ...options,
      clients,
      control,
      listenerOf: (link) => this.#listeners.get(link),
    });
    this.#updates = new PushUpdates(clients, control);
  }

  handleLinkBatch(now: Instant, rx: PacketVector): readonly TunnelAction[] {
    const actions: TunnelAction[] = [];
    this.#mux.classifyBatch(now, rx);
    let steps = CONTROL_STEPS_PER_BATCH;
    for (let row = 0; row < rx.count; row++) {
      if (rx.fate[row] !== FATE_PUNT) continue;
      // The vector is the loop's: what the control channel sees is a copy.
      const packet = rx.packet(row).slice();
      const slot = rx.slot[row];
      if (slot === NO_SLOT) {
        const address = rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
        // A newcomer who got an answer now would be left alone with it: OpenVPN ignores him too while it shuts down.
        const heard = this.#exit === undefined;
        if (heard && this.#newcomers.handlePacket(now, packet, address, steps > 0, actions)) steps -= 1;
      } else if (this.#handleControl(now, slot, packet, steps > 0, actions)) {
        steps -= 1;
      }
      rx.drop(row);
    }
    this.#dataChannel.openBatch(now, rx);
    const floated = this.#mux.floated(rx);
    for (const { slot, address } of floated) {
      this.#clients.float(slot, address, this.#listeners.get(address[ADDRESS_LINK]));
    }
    this.#options.internalMux.checkBatch(rx);
    if (floated.length === 0) this.#dataChannel.offerReceived(rx);
    if (this.#options.passTos) noteTrafficClass(rx);
    this.#dataChannel.sealBatch(now, rx);
    this.#mux.addressBatch(rx);
    this.#control.handleSignals(now, actions);
    return this.#withClosed(actions);
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly TunnelAction[] {
    const { internalMux, passTos } = this.#options;
    internalMux.routeBatch(tx);
    if (passTos) noteTrafficClass(tx);
    this.#dataChannel.sealBatch(now, tx, !passTos && internalMux.decidesByAddresses(tx, 0));
    this.#mux.addressBatch(tx);
    this.#dataChannel.offerSent(tx);
    const actions: TunnelAction[] = [];
    this.#control.handleSignals(now, actions);
    return this.#withClosed(actions);
  }

  handleTimeout(now: Instant, out: PacketVector): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    const actions: TunnelAction[] = [];
    this.#handleBacklog(now, actions);
    for (let steps = 0; steps < CONTROL_STEPS_PER_BATCH; steps += 1) this.#newcomers.beginNext(now, actions);
    for (const slot of this.#clients.takeAwake(CONTROL_STEPS_PER_BATCH)) {
      this.#control.drive(now, slot, actions, (multi) => multi.handleWake(now));
    }
    // Each at most once a turn, whatever its next deadline is.
    for (const slot of this.#clients.takeDue(now, CONTROL_STEPS_PER_BATCH)) {
      this.#clients.endSession(now, slot);
      this.#control.renewToken(now, slot, actions);
      this.#control.drive(now, slot, actions, (multi) => multi.handleTimeout(now));
    }
    this.#dataChannel.handleTimeout(now, out);
    this.#mux.addressBatch(out);
    this.#control.handleSignals(now, actions);
    for (const link of this.#streams.overdue(now)) this.#closeSilent(link);
    if (this.#exit !== undefined && now >= this.#exit.at) actions.push(this.#end(this.#exit.signal, 'hard', ''));
    return this.#withClosed(actions);
  }

  nextTimeout(): Instant {
    if (this.#ended) return NEVER;
    if (!this.#backlog.isEmpty || this.#newcomers.someArrived || this.#clients.someAwake) return AT_ONCE;
    const own = earliest(this.#clients.nextTimeout(), this.#exit?.at ?? NEVER);
    return earliest(earliest(own, this.#streams.nextTimeout()), this.#dataChannel.nextTimeout());
  }

  /** A datagram link was opened for a listener, by its place in the options. It has so many ids, from `link` on. */
  addLink(link: number, listener: number, idCount = 1): void {
    for (let index = 0; index < idCount; index += 1) {
      this.#listeners.set(link + index, this.#options.listeners[listener]);
    }
  }

  /**
   * A TCP connection was accepted by a listener; its packets come from `address`, which names its link. The client is made of its first packet.
   * OpenVPN: multi_create_instance_tcp().
   */
  handleConnection(now: Instant, address: LinkAddress, listener: number): readonly TunnelAction[] {
    const link = address[ADDRESS_LINK];
    if (this.#ended || this.#exit !== undefined) return [{ type: 'close-link', link }];
    this.addLink(link, listener);
    const from = formatArrival(address, this.#options.listeners[listener]);
    this.#options.log.info('server.stream-established', { from });
    this.#mux.addStreamLink(link);
    const evicted = this.#streams.add(now, address);
    if (evicted !== undefined) this.#closeSilent(evicted);
    return this.#withClosed([]);
  }

  /** A TCP connection has ended, or its bytes make no sense: so has its client. OpenVPN: process_incoming_link_part1(). */
  handleLinkLost(_now: Instant, link: number, error: Error): readonly TunnelAction[] {
    const address = this.#streams.remove(link);
    if (address === undefined || this.#ended) return NO_ACTIONS;
    const instance = this.#clients.byAddress(address);
    logLinkLost(instance?.modules.log ?? this.#options.log, error, instance ? undefined : formatLinkAddress(address));
    if (instance !== undefined) {
      this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'connection-reset' });
    }
    this.#streams.markUnused(link);
    return this.#withClosed([]);
  }

  /** The answer to a `verify-client-key`. OpenVPN: tls_crypt_v2_verify_metadata(). */
  handleClientKeyVerdict(now: Instant, requestId: number, admitted: boolean): readonly TunnelAction[] {
    const actions: TunnelAction[] = [];
    this.#newcomers.handleVerdict(now, requestId, admitted, actions);
    return this.#withClosed(actions);
  }

  /** The answer to a `verify-password`. */
  handlePasswordVerdict(now: Instant, questionId: number, answer: PasswordAnswer): readonly TunnelAction[] {
    const actions: TunnelAction[] = [];
    this.#control.handlePasswordVerdict(now, questionId, answer, actions);
    return this.#withClosed(actions);
  }

  /** Who judges a password takes his time, and the client is to do something meanwhile. OpenVPN: send_auth_pending_messages(). */
  handlePasswordPending(
    now: Instant,
    questionId: number,
    authentication: PendingAuthentication,
  ): readonly TunnelAction[] {
    const actions: TunnelAction[] = [];
    this.#control.handlePasswordPending(now, questionId, authentication, actions);
    return this.#withClosed(actions);
  }

  /** A TLS engine of this client has something to tell; the caller also asks the loop for a turn. */
  wakePeer(slot: number): void {
    this.#clients.wake(slot);
  }

  /** Number of clients that are connected, and of all that have a slot. */
  get population(): { readonly connected: number; readonly all: number } {
    return { connected: this.#clients.connected, all: [...this.#clients.all()].length };
  }

  /** What --status tells of each client. OpenVPN: multi_print_status(). */
  status(): readonly ClientStatus[] {
    return [...this.#clients.all()].map(({ slot, address, since, modules: peer }) => {
      const counters = this.#dataChannel.counters(slot);
      const { assigned } = peer;
      const lastReference = Math.max(assigned?.at ?? since, this.#dataChannel.lastActive(slot));
      return {
        commonName: peer.commonName,
        username: peer.username,
        realAddress: statusAddress(address),
        ipv4: assigned?.addresses.ipv4?.local,
        ipv6: assigned?.addresses.ipv6?.local,
        bytesReceived: peer.controlBytesIn + counters.receivedBytes,
        bytesSent: peer.controlBytesOut + counters.sentBytes,
        since,
        clientId: peer.clientId,
        peerId: slot,
        cipher: peer.cipherName,
        listener: peer.listener.tag,
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
    const told = [...this.#clients.all()].filter(
      ({ modules: { established, listener } }) => established && listener.exitNotify !== 0,
    );
    if (told.length === 0) return [this.#end(signal, 'hard', '')];
    if (this.#exit !== undefined) return NO_ACTIONS;
    this.#exit = { signal, at: now + EXIT_NOTIFY_WAIT_MS };
    this.#newcomers.close();
    const actions: TunnelAction[] = [];
    for (const instance of told) {
      const text = instance.modules.listener.exitNotify === 2 ? 'RESTART,[N]' : 'RESTART';
      this.#control.execute(now, instance, instance.modules.multi.sendControlMessage(now, text), actions);
    }
    return actions;
  }

  /**
   * Changes what clients were pushed, while their tunnels stand: PUSH_UPDATE of OpenVPN 2.7. Options as for `push`, one each; `-name` takes
   * an option away, `?` skips it where a client cannot change it; only options that OpenVPN lets be updated.
   */
  pushUpdate(
    now: Instant,
    target: PushUpdateTarget,
    options: readonly string[],
  ): { readonly result: PushUpdateResult; readonly actions: readonly TunnelAction[] } {
    const actions: TunnelAction[] = [];
    const result: PushUpdateResult = this.#ended
      ? { ok: false, reason: 'the server is at its end' }
      : this.#updates.send(now, target, options, actions);
    return { result, actions: this.#withClosed(actions) };
  }

  /** Ends all clients and frees their keys. Idempotent. */
  close(): void {
    this.#ended = true;
    this.#newcomers.close();
    for (const instance of [...this.#clients.all()]) this.#clients.remove(instance);
  }

  /**
   * A control packet from the address of a client. What belongs to a session of his is done before the data of the same batch, which may need the
   * keys that come of it, or kept for later when it may not work any more. Returns whether it was work.
   */
  #handleControl(now: Instant, slot: number, packet: Uint8Array, mayWork: boolean, actions: TunnelAction[]): boolean {
    const instance = this.#clients.bySlot(slot);
    // While its key is judged nothing else is heard of a client.
    if (instance === undefined || instance.modules.held !== undefined) return false;
    if (instance.mode !== 'CM_CHILD_TCP' && !instance.modules.multi.knowsSessionOf(packet)) {
      this.#newcomers.handleReturn(now, instance, packet, actions);
      return false;
    }
    const kind = instance.modules.multi.connected ? 'connected' : 'coming';
    if (!mayWork || this.#backlog.holds(kind)) {
      this.#backlog.add(instance, packet, kind);
      return false;
    }
    this.#control.handleControl(now, slot, packet, actions);
    return true;
  }

  #handleBacklog(now: Instant, actions: TunnelAction[]): void {
    for (let steps = 0; steps < CONTROL_STEPS_PER_BATCH; steps += 1) {
      const next = this.#backlog.take();
      if (next === undefined) return;
      const { slot } = next.client;
      if (this.#clients.bySlot(slot) === next.client) this.#control.handleControl(now, slot, next.packet, actions);
    }
  }

  /** Nobody has spoken OpenVPN on it for --hand-window, or there is no room for so many who do not. */
  #closeSilent(link: number): void {
    const address = this.#streams.remove(link);
    if (address === undefined) return;
    this.#options.log.warn('server.stream-silent', { stranger: formatLinkAddress(address) });
    this.#streams.markUnused(link);
  }

  /** Streams that nobody needs any more are closed at the end of each turn. */
  #withClosed(actions: TunnelAction[]): readonly TunnelAction[] {
    for (const link of this.#streams.takeUnused()) {
      this.#mux.removeStreamLink(link);
      this.#listeners.delete(link);
      actions.push({ type: 'close-link', link });
    }
    return actions.length === 0 ? NO_ACTIONS : actions;
  }

  #end(signal: RunSignal, source: 'hard' | 'soft', text: string): TunnelAction {
    this.#ended = true;
    return { type: 'signal', info: { signal, source, text } };
  }
}
