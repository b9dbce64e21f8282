import type { CompressionAlgorithm } from '@openvpnd/config';
import type { ControlAction, TlsMulti, Verdict } from '@openvpnd/control-processor';
import type { DataChannel, DataSignal, PeerSettings } from '@openvpnd/data-channel';
import type { ExternalMux } from '@openvpnd/external-mux';
import { formatInnerAddress, formatPrefix, type InternalMux, type Prefix } from '@openvpnd/internal-mux';
import { ADDRESS_FAMILY } from '@openvpnd/memory';
import { assertNever, type Instant } from '@openvpnd/sans-io';
import { emitOccMessage, type OccMessage } from '@openvpnd/wire';
import { compressionSetting } from '../compression.js';
import type { PasswordAnswer, PendingAuthentication } from '../host/password-program.js';
import { applyKeyAction, type Carrier, type KeyAction, packetShape } from '../install-keys.js';
import { logNegotiated } from '../log-negotiated.js';
import { logRefusal } from '../log-refusal.js';
import { occAnswer } from '../occ-answer.js';
import type { TunnelAction } from '../tunnel-action.js';
import type { AddressWish, ClientAddressing } from './client-addressing.js';
import type { ClientAdmission } from './client-admission.js';
import { pushedOptions, type VirtualAddresses } from './pushed-options.js';
import type { Instance, ServerClients } from './server-clients.js';

export interface ServerControlOptions {
  readonly clients: ServerClients;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  readonly dataChannel: DataChannel;
  readonly addressing: ClientAddressing;
  /** Timers and limits of each client's data channel. */
  readonly peer: PeerSettings;
  /** False with --mute-replay-warnings. */
  readonly replayWarnings: boolean;
  /** --push, with what `server` and `keepalive` add. */
  readonly push: readonly string[];
  readonly admission: ClientAdmission;
}

/**
 * What a server says to its clients: drives their control channels and does what those decide, from the verdict on a certificate to the
 * pushed options and the end. OpenVPN: multi_process_post(), multi_connection_established(), process_incoming_push_msg().
 */
export class ServerControl {
  readonly #options: ServerControlOptions;
  readonly #clients: ServerClients;
  readonly #mux: ExternalMux;
  readonly #dataChannel: DataChannel;

  constructor(options: ServerControlOptions) {
    this.#options = options;
    this.#clients = options.clients;
    this.#mux = options.mux;
    this.#dataChannel = options.dataChannel;
  }

  handleControl(now: Instant, slot: number, packet: Uint8Array, actions: TunnelAction[]): void {
    const peer = this.#clients.bySlot(slot)?.modules;
    if (peer !== undefined) peer.controlBytesIn += packet.length;
    this.drive(now, slot, actions, (multi) => {
      const todo = multi.handlePacket(now, packet);
      // Whatever else comes from its address is no sign that the client lives.
      if (multi.heardAt === now) this.#dataChannel.noteControlReceived(slot, now);
      return todo;
    });
  }

  /**
   * One step of a client's control channel, and what follows from it. A bug of ours that one client hits costs that client, not
   * its neighbours.
   */
  drive(
    now: Instant,
    slot: number,
    actions: TunnelAction[],
    step: (multi: TlsMulti) => readonly ControlAction[],
  ): void {
    const instance = this.#clients.bySlot(slot);
    if (instance === undefined) return;
    try {
      this.execute(now, instance, step(instance.modules.multi), actions);
    } catch (error) {
      instance.modules.log.error('server.internal-error', { message: String(error) });
      if (instance.modules.removed) return;
      this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'internal-error' });
    }
  }

  execute(now: Instant, instance: Instance, todo: readonly ControlAction[], actions: TunnelAction[]): void {
    for (const action of todo) {
      if (instance.modules.removed) return;
      this.#executeOne(now, instance, action, actions);
    }
    this.#clients.schedule(instance);
  }

  /** What the data channel found out meanwhile. */
  handleSignals(now: Instant, actions: TunnelAction[]): void {
    for (const signal of this.#dataChannel.takeSignals()) {
      const instance = this.#clients.bySlot(signal.slot);
      if (instance !== undefined) this.#handleSignal(now, instance, signal, actions);
    }
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
        if (action.commonName !== undefined) this.#clients.setCommonName(instance, action.commonName);
        return;
      case 'push-request':
        this.#push(now, instance, actions);
        return;
      case 'connected':
        this.#clients.establish(instance);
        return;
      case 'negotiated':
        if (action.options.migratedCompression !== undefined) {
          this.#setCompression(now, instance, action.options.migratedCompression);
        }
        logNegotiated(peer.log, action.options, {
          peer: this.#options.peer,
          keyUse: peer.keyUse,
          exitNotify: peer.listener.exitNotify,
        });
        return;
      case 'control-message':
        return;
      case 'session-lost':
        this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' });
        return;
      case 'exit':
        this.#clients.removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'delayed-exit' });
        return;
      case 'pull':
      case 'push-update':
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
    if (!request.renegotiation) instance.modules.certificates = fingerprintOf(request.certificates);
    const verdict = this.#options.admission.judge(now, instance, request, actions);
    const { compression } = instance.modules.config ?? {};
    if (compression !== undefined && !request.renegotiation) this.#setCompression(now, instance, compression.algorithm);
    if (verdict !== undefined) this.#settle(now, instance, request.requestId, verdict, actions);
  }

  /** Lets a client in or not. One that has its options already gets its next token by itself, behind the new keys. */
  #settle(now: Instant, instance: Instance, requestId: number, verdict: Verdict, actions: TunnelAction[]): void {
    const { modules: peer } = instance;
    this.execute(now, instance, peer.multi.handleVerdict(now, requestId, verdict), actions);
    if (verdict.type === 'accept') this.#pushToken(now, instance, actions);
  }

  handlePasswordVerdict(now: Instant, questionId: number, answer: PasswordAnswer, actions: TunnelAction[]): void {
    const decided = this.#options.admission.takeVerdict(now, questionId, answer);
    if (decided !== undefined) this.#settle(now, decided.instance, decided.requestId, decided.verdict, actions);
  }

  handlePasswordPending(
    now: Instant,
    questionId: number,
    { timeoutSeconds, info }: PendingAuthentication,
    actions: TunnelAction[],
  ): void {
    const instance = this.#options.admission.clientOf(questionId);
    if (instance === undefined) return;
    this.drive(now, instance.slot, actions, (multi) => multi.authPending(now, timeoutSeconds, info));
  }

  /** Where tokens are renewed more often than keys. */
  renewToken(now: Instant, slot: number, actions: TunnelAction[]): void {
    const instance = this.#clients.bySlot(slot);
    const { token } = instance?.modules ?? {};
    if (instance === undefined || token === undefined || now < token.renewAt) return;
    this.#options.admission.renewToken(now, instance);
    this.#pushToken(now, instance, actions);
  }

  /** OpenVPN: resend_auth_token_renegotiation(). */
  #pushToken(now: Instant, instance: Instance, actions: TunnelAction[]): void {
    const { multi, token, established } = instance.modules;
    if (!established || token === undefined) return;
    this.execute(now, instance, multi.pushMore(now, [`auth-token ${token.text}`]), actions);
  }

  #push(now: Instant, instance: Instance, actions: TunnelAction[]): void {
    const { modules: peer } = instance;
    const addresses = this.assign(now, instance, peer.config);
    if (addresses === undefined) {
      peer.log.error('server.pool-exhausted');
      this.execute(now, instance, peer.multi.authFailed(now, undefined), actions);
      return;
    }
    const options = [...pushedOptions(this.#options.push, peer.config, addresses)];
    if (peer.token !== undefined) options.push(`auth-token ${peer.token.text}`);
    this.execute(now, instance, peer.multi.sendPushReply(now, options), actions);
  }

  /** Gives a client its addresses, and routes to it all that is its own. Undefined when the pool is exhausted. */
  assign(now: Instant, instance: Instance, wish: AddressWish | undefined): VirtualAddresses | undefined {
    const { modules: peer, slot } = instance;
    const assigned = this.#options.addressing.assign(slot, peer.commonName ?? '', wish);
    if (assigned === undefined) return undefined;
    this.#options.internalMux.removeRoutes(slot);
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
    return assigned.addresses;
  }

  #handleSignal(now: Instant, instance: Instance, signal: DataSignal, actions: TunnelAction[]): void {
    const { multi, log } = instance.modules;
    switch (signal.type) {
      case 'renegotiate':
        this.drive(now, instance.slot, actions, () => multi.renegotiate(now, signal.reason));
        return;
      case 'ping-restart':
      case 'ping-exit':
        log.info('server.inactivity-timeout', { action: signal.type });
        this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: signal.type });
        return;
      case 'inactive':
        log.info('server.inactivity-timeout', { action: signal.type });
        this.#clients.removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'inactive' });
        return;
      case 'key-in-use':
        this.execute(now, instance, multi.handleKeyInUse(now, signal.keyId), actions);
        return;
      case 'refused':
        logRefusal(log, signal, this.#options.replayWarnings);
        // Nothing is damaged or repeated on a stream by accident.
        if (instance.mode === 'CM_CHILD_TCP') {
          log.error('link.decryption-error');
          this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'decryption-error' });
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
      this.#clients.removeWith(instance, { signal: 'SIGTERM', source: 'soft', text: 'remote-exit' });
      return;
    }
    const counters = this.#dataChannel.counters(slot);
    const answer = occAnswer(message, { ...peer.listener.occ, shape: peer.shape, counters });
    if (answer !== undefined) this.#dataChannel.sendMessage(slot, emitOccMessage(answer), now);
  }
}

/** What carries the packets of a client. */
function carrierOf(instance: Instance): Carrier {
  return { ipv6: instance.address[ADDRESS_FAMILY] === 6, stream: instance.mode === 'CM_CHILD_TCP' };
}

/** As OpenVPN prints it: an address alone, or a network with its length. */
export function formatRoute(route: Prefix): string {
  const isHost = route.length === route.address.length * 8;
  return isHost ? formatInnerAddress(route.address) : formatPrefix(route);
}

/** Tells certificate chains apart; undefined when there is none. */
function fingerprintOf(certificates: VerifyAction['certificates']): string | undefined {
  if (certificates.length === 0) return undefined;
  return certificates.map(({ sha256 }) => Buffer.from(sha256).toString('hex')).join();
}

type VerifyAction = Extract<ControlAction, { readonly type: 'verify' }>;
