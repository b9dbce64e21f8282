import type { ControlAction, TlsMulti } from '@openvpnd/control-processor';
import type { DataChannel, DataSignal } from '@openvpnd/data-channel';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import { type InternalMux, noteTrafficClass } from '@openvpnd/internal-mux';
import {
  ADDRESS_FAMILY,
  ADDRESS_WORDS,
  FATE_PUNT,
  FATE_SEAL,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { assertNever, earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import { emitOccMessage, type OccMessage, sessionIdHex } from '@openvpnd/wire';
import type { RunSignal } from '../host/signals.js';
import { applyKeyAction, type Carrier, type KeyAction, packetShape } from '../install-keys.js';
import { logLinkLost } from '../link/log-link-lost.js';
import { logNegotiated } from '../log-negotiated.js';
import { NO_ACTIONS, type TunnelAction } from '../tunnel-action.js';
import { type ConnectionEnd, controlEnd, type RefusalPolicy } from './control-end.js';
import { dataChannelEnd } from './data-channel-end.js';
import { ExitNotice, exitNotices } from './exit-notice.js';
import type { OccExchange } from './occ-exchange.js';
import type { PeerPaths } from './peer-paths.js';
import type { PeerTunnel } from './peer-tunnel.js';
import type { Pull } from './pull.js';
import { RecursionGuard } from './recursion-guard.js';
import type { ClientTraffic } from './statistics.js';

/** The one peer of a client. */
const SLOT = 0;

export interface ClientTunnelOptions {
  /** The control channel; made with a `wake` that asks the loop for a turn. */
  readonly multi: TlsMulti;
  /** With room for one peer. */
  readonly dataChannel: DataChannel;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  /** Where the peer is or may be. */
  readonly paths: PeerPaths;
  /** Its link is a TCP connection. */
  readonly stream: boolean;
  /** What holds for this connection, and will hold when the server has pushed its options. */
  readonly pull: Pull;
  readonly refusal: RefusalPolicy;
  /** --ping-timer-rem: silence counts only once the peer is known. */
  readonly silenceNeedsPeer: boolean;
  readonly occ: OccExchange;
  /** False with --mute-replay-warnings. */
  readonly replayWarnings: boolean;
  /** Neither end pulls: the options are those of the configuration, and the peer may be the TLS client as well as the server. */
  readonly pointToPoint: boolean;
  /** --session-timeout, until the server has pushed another; Infinity: none. */
  readonly sessionTimeoutMs: number;
  /** --connect-timeout: how long to wait for the first answer. */
  readonly connectTimeoutMs: number;
  /** --explicit-exit-notify: how often to say goodbye; 0: not at all. */
  readonly exitNotify: number;
  /** --passtos */
  readonly passTos: boolean;
  /** --allow-recursive-routing. */
  readonly allowRecursiveRouting: boolean;
  readonly log?: Log;
}

/**
 * One connection of a client to a server, without any I/O, from the first reset to the signal that ends it. A new connection is a new
 * ClientTunnel. OpenVPN: tunnel_point_to_point().
 */
export class ClientTunnel implements PeerTunnel {
  readonly #options: ClientTunnelOptions;
  readonly #multi: TlsMulti;
  readonly #dataChannel: DataChannel;
  readonly #mux: ExternalMux;
  readonly #paths: PeerPaths;
  readonly #pull: Pull;
  readonly #recursionGuard: RecursionGuard | undefined;
  readonly #internalMux: InternalMux;
  #answerDeadline: Instant = NEVER;
  /** What was sent last while it is not known where the peer is: addresses that are tried later get it too. */
  #opening: Uint8Array | undefined;
  #sessionEnd: Instant = NEVER;
  /** Set while we say goodbye. */
  #exit: ExitNotice | undefined;
  #ended = false;
  #controlBytesIn = 0;
  #controlBytesOut = 0;

  constructor(options: ClientTunnelOptions) {
    this.#options = options;
    this.#multi = options.multi;
    this.#pull = options.pull;
    this.#dataChannel = options.dataChannel;
    this.#mux = options.mux;
    this.#paths = options.paths;
    this.#recursionGuard = options.allowRecursiveRouting
      ? undefined
      : new RecursionGuard(options.internalMux, options.log);
    this.#internalMux = options.internalMux;
  }

  /** Sends the first packet, or waits for that of the peer. Call once, before anything else. */
  start(now: Instant): readonly TunnelAction[] {
    this.#paths.start(now);
    const { peer } = this.#pull;
    const patient = this.#paths.waiting && this.#options.silenceNeedsPeer;
    this.#dataChannel.addPeer(SLOT, patient ? { ...peer, silence: undefined } : peer, now);
    this.#limitAnswer(now);
    this.#sessionEnd = now + this.#options.sessionTimeoutMs;
    return this.#paths.waiting ? NO_ACTIONS : this.#execute(now, this.#multi.start(now));
  }

  handleLinkBatch(now: Instant, rx: PacketVector): readonly TunnelAction[] {
    let actions = NO_ACTIONS;
    this.#mux.classifyBatch(now, rx);
    for (let row = 0; row < rx.count; row++) {
      if (rx.fate[row] !== FATE_PUNT) continue;
      // The vector is the loop's: what the control channel sees is a copy.
      const packet = rx.packet(row).slice();
      const source = rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
      rx.drop(row);
      actions = join(actions, this.#handleControl(now, packet, source));
    }
    this.#dataChannel.openBatch(now, rx);
    const floated = this.#mux.floated(rx);
    for (const { address } of floated) {
      if (!this.#paths.handleFloated(address)) continue;
      this.#options.log?.info('client.float');
      this.#watchRecursion();
    }
    this.#internalMux.checkBatch(rx);
    if (floated.length === 0) this.#dataChannel.offerReceived(rx);
    return join(actions, this.#handleSignals(now));
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly TunnelAction[] {
    this.#internalMux.routeBatch(tx);
    const { passTos } = this.#options;
    if (passTos) noteTrafficClass(tx);
    this.#recursionGuard?.report();
    this.#dataChannel.sealBatch(now, tx, !passTos && this.#internalMux.decidesByAddresses(tx, 0));
    this.#mux.addressBatch(tx);
    this.#dataChannel.offerSent(tx);
    return this.#handleSignals(now);
  }

  handleTimeout(now: Instant, out: PacketVector): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    let actions = this.#execute(now, this.#multi.handleWake(now));
    if (this.#multi.nextTimeout() <= now) actions = join(actions, this.#execute(now, this.#multi.handleTimeout(now)));
    actions = join(actions, this.#tryAnother(now));
    if (now >= this.#answerDeadline) {
      this.#answerDeadline = NEVER;
      this.#options.log?.info('client.server-poll-timeout');
      const retry = { advance: 'address', immediately: true } as const;
      return join(actions, this.#end({ signal: 'SIGUSR1', text: 'server_poll', retry }));
    }
    if (now >= this.#sessionEnd) {
      this.#options.log?.info('client.session-timeout');
      return join(actions, this.#end({ signal: 'SIGTERM', text: 'session-timeout' }));
    }
    for (const message of this.#options.occ.handleTimeout(now)) {
      this.#dataChannel.sendMessage(SLOT, emitOccMessage(message), now);
    }
    this.#dataChannel.handleTimeout(now, out);
    actions = join(actions, this.#continueExit(now, out));
    this.#mux.addressBatch(out);
    return join(actions, this.#handleSignals(now));
  }

  /** The connection to the server has ended, or its bytes make no sense. OpenVPN: process_incoming_link_part1(). */
  handleLinkLost(_now: Instant, _link: number, error: Error): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    logLinkLost(this.#options.log, error);
    return this.#end({ signal: 'SIGUSR1', text: 'connection-reset' });
  }

  nextTimeout(): Instant {
    if (this.#ended) return NEVER;
    let own = earliest(earliest(this.#answerDeadline, this.#sessionEnd), this.#exit?.nextTimeout() ?? NEVER);
    own = earliest(own, earliest(this.#paths.nextTimeout(), this.#options.occ.nextTimeout()));
    return earliest(own, earliest(this.#multi.nextTimeout(), this.#dataChannel.nextTimeout()));
  }

  /** What was sent and received so far, for --status. */
  get traffic(): ClientTraffic {
    return {
      counters: this.#dataChannel.counters(SLOT),
      controlBytesIn: this.#controlBytesIn,
      controlBytesOut: this.#controlBytesOut,
    };
  }

  /** Where the peer is or was looked for last; undefined while nobody knows. A copy. */
  get peerAddress(): LinkAddress | undefined {
    return this.#paths.current;
  }

  /** Whether the tunnel has carried, or could carry, data. */
  get connected(): boolean {
    return this.#multi.connected;
  }

  /**
   * Ends the tunnel: says goodbye to the server when the options ask for it, and raises the signal when that is done.
   * OpenVPN: process_sigterm(), process_explicit_exit_notification_init().
   */
  beginExit(now: Instant, signal: RunSignal): readonly TunnelAction[] {
    if (this.#exit !== undefined || this.#ended) return NO_ACTIONS;
    const count = exitNotices(signal, this.#options.exitNotify);
    if (count === 0 || !this.#multi.connected) return this.#end({ signal, text: '' }, 'hard');
    this.#options.log?.info('client.exit-notify', { signal });
    const { handled, actions } = this.#multi.notifyExit(now);
    this.#exit = new ExitNotice(now, count, handled);
    return this.#execute(now, actions);
  }

  /** Frees keys and sessions. Idempotent. */
  close(): void {
    this.#ended = true;
    this.#multi.close();
    this.#dataChannel.removePeer(SLOT);
    this.#mux.removePeer(SLOT);
  }

  #handleControl(now: Instant, packet: Uint8Array, source: LinkAddress): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    this.#controlBytesIn += packet.length;
    const todo = this.#multi.handlePacket(now, packet);
    let actions = NO_ACTIONS;
    // Whatever else comes from its address is no sign that the server lives.
    if (this.#multi.heardAt === now) actions = this.#handleHeard(now, packet, source);
    return join(actions, this.#execute(now, todo));
  }

  #handleHeard(now: Instant, packet: Uint8Array, source: LinkAddress): readonly TunnelAction[] {
    this.#answerDeadline = NEVER;
    const { settled, closing } = this.#paths.handleHeard(source);
    if (settled) {
      this.#options.log?.info('client.initial-packet', { sessionId: sessionIdHex(packet.subarray(1, 9)) });
      this.#opening = undefined;
      if (this.#options.silenceNeedsPeer) this.#dataChannel.configurePeer(SLOT, this.#pull.peer, now);
    }
    this.#dataChannel.noteControlReceived(SLOT, now);
    return closing.map((link) => ({ type: 'close-link', link }));
  }

  /** The address that was tried first has not answered in time: another one is tried beside it. */
  #tryAnother(now: Instant): readonly TunnelAction[] {
    let actions = NO_ACTIONS;
    for (const to of this.#paths.handleTimeout(now)) {
      this.#options.log?.info('client.another-address', { to: formatLinkAddress(to) });
      this.#limitAnswer(now);
      if (this.#opening !== undefined) actions = join(actions, [{ type: 'send-control', packet: this.#opening, to }]);
    }
    return actions;
  }

  /** Each address has its own --connect-timeout. Who does not pull waits for its peer as long as it takes. */
  #limitAnswer(now: Instant): void {
    if (!this.#options.pointToPoint) this.#answerDeadline = now + this.#options.connectTimeoutMs;
  }

  #execute(now: Instant, todo: readonly ControlAction[]): readonly TunnelAction[] {
    let actions = NO_ACTIONS;
    for (const action of todo) {
      if (this.#ended) break;
      actions = join(actions, this.#executeOne(now, action));
    }
    return actions;
  }

  #executeOne(now: Instant, action: ControlAction): readonly TunnelAction[] {
    switch (action.type) {
      case 'send': {
        const { packet } = action;
        const targets = this.#paths.targets();
        if (targets.length > 1 || this.#paths.nextTimeout() !== NEVER) this.#opening = packet;
        this.#dataChannel.noteControlSent(SLOT, now);
        this.#controlBytesOut += packet.length;
        return targets.map((to) => ({ type: 'send-control', packet, to }));
      }
      case 'install-keys':
        this.#options.occ.useShape(packetShape(action, this.#pull.keyUse, this.#carrier));
        return this.#applyKeyAction(action);
      case 'send-with':
      case 'retire-keys':
        return this.#applyKeyAction(action);
      case 'pull':
        return action.first ? this.#completePull(now, action.options) : this.#pullMore(action.options);
      case 'push-update':
        return this.#updatePull(now, action.options);
      case 'auth-failed':
      case 'restart':
      case 'session-lost':
      case 'exit':
        return this.#end(controlEnd(action, this.#options.refusal));
      case 'negotiated':
        if (this.#options.log !== undefined) {
          const { peer, keyUse } = this.#pull;
          logNegotiated(this.#options.log, action.options, { peer, keyUse, exitNotify: this.#options.exitNotify });
        }
        return NO_ACTIONS;
      case 'connected':
        this.#options.occ.begin(now);
        return this.#options.pointToPoint && !action.again ? this.#configureAlone(now) : NO_ACTIONS;
      case 'verify':
        // Only the TLS server of two points is asked: its certificate policy has let the peer in already.
        return this.#execute(now, this.#multi.handleVerdict(now, action.requestId, { type: 'accept' }));
      case 'peer-initiated':
      case 'control-message':
      case 'push-request':
        return NO_ACTIONS;
      default:
        return assertNever(action);
    }
  }

  #applyKeyAction(action: KeyAction): readonly TunnelAction[] {
    applyKeyAction(this.#dataChannel, SLOT, action, this.#pull.keyUse, this.#carrier);
    return NO_ACTIONS;
  }

  get #carrier(): Carrier {
    return { ipv6: this.peerAddress?.[ADDRESS_FAMILY] === 6, stream: this.#options.stream };
  }

  #completePull(now: Instant, pushed: readonly string[]): readonly TunnelAction[] {
    const imported = this.#pull.complete(pushed);
    if (imported === undefined) return this.#end(PULL_FAILED);
    this.#useToken();
    this.#sessionEnd = now + imported.sessionTimeoutMs;
    this.#usePeer(now);
    const actions = this.#execute(now, this.#multi.completePull(now, imported.negotiated));
    // Without a common cipher there will be no tunnel, and nothing is set up for it.
    return this.#ended ? actions : join([{ type: 'configure', imported }], actions);
  }

  #pullMore(pushed: readonly string[]): readonly TunnelAction[] {
    this.#pull.more(pushed);
    this.#useToken();
    return NO_ACTIONS;
  }

  #updatePull(now: Instant, update: readonly string[]): readonly TunnelAction[] {
    if (!this.#pull.completed) return NO_ACTIONS;
    const imported = this.#pull.update(update);
    if (imported === undefined) return this.#end(PULL_FAILED);
    this.#usePeer(now);
    return [{ type: 'reconfigure', imported }];
  }

  #configureAlone(now: Instant): readonly TunnelAction[] {
    const imported = this.#pull.ownAlone();
    if (imported === undefined) return this.#end(PULL_FAILED);
    this.#usePeer(now);
    return [{ type: 'configure', imported }];
  }

  #useToken(): void {
    this.#multi.setCredentials(this.#options.refusal.credentials.current);
  }

  #usePeer(now: Instant): void {
    this.#dataChannel.configurePeer(SLOT, this.#pull.peer, now);
    this.#watchRecursion();
  }

  #watchRecursion(): void {
    this.#recursionGuard?.watch(this.peerAddress, this.#options.stream ? 'tcp' : 'udp');
  }

  #handleSignals(now: Instant): readonly TunnelAction[] {
    let actions = NO_ACTIONS;
    for (const signal of this.#dataChannel.takeSignals()) {
      if (this.#ended) break;
      actions = join(actions, this.#handleSignal(now, signal));
    }
    return actions;
  }

  #handleSignal(now: Instant, signal: DataSignal): readonly TunnelAction[] {
    switch (signal.type) {
      case 'renegotiate':
        return this.#execute(now, this.#multi.renegotiate(now, signal.reason));
      case 'ping-restart':
      case 'ping-exit':
      case 'inactive':
      case 'refused': {
        const end = dataChannelEnd(signal, this.#options);
        return end === undefined ? NO_ACTIONS : this.#end(end);
      }
      case 'key-in-use':
        return this.#execute(now, this.#multi.handleKeyInUse(now, signal.keyId));
      case 'occ':
        return this.#handleOcc(now, signal.message);
      default:
        return assertNever(signal);
    }
  }

  #handleOcc(now: Instant, message: OccMessage): readonly TunnelAction[] {
    if (message.type === 'EXIT') return this.#end({ signal: 'SIGUSR1', text: 'remote-exit' });
    const answer = this.#options.occ.handleMessage(message);
    if (answer !== undefined) this.#dataChannel.sendMessage(SLOT, emitOccMessage(answer), now);
    return NO_ACTIONS;
  }

  /** Repeats the goodbye, or ends once it was said often enough. */
  #continueExit(now: Instant, out: PacketVector): readonly TunnelAction[] {
    const step = this.#exit?.step(now) ?? 'nothing';
    if (step === 'end') return this.#end({ signal: 'SIGTERM', text: 'exit-with-notification' });
    if (step === 'nothing') return NO_ACTIONS;
    const row = out.appendCopy(emitOccMessage({ type: 'EXIT' }));
    if (row >= 0) {
      out.slot[row] = SLOT;
      out.fate[row] = FATE_SEAL;
      this.#dataChannel.sealBatch(now, out);
    }
    return NO_ACTIONS;
  }

  #end({ signal, text, retry }: ConnectionEnd, source: 'soft' | 'hard' = 'soft'): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    this.#ended = true;
    return [{ type: 'signal', info: { signal, source, text, ...(retry && { retry }) } }];
  }
}

const PULL_FAILED: ConnectionEnd = { signal: 'SIGUSR1', text: 'process-push-msg-failed' };

function join(a: readonly TunnelAction[], b: readonly TunnelAction[]): readonly TunnelAction[] {
  if (b.length === 0) return a;
  return a.length === 0 ? b : [...a, ...b];
}
