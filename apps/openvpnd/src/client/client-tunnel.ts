import type { ControlAction, TlsMulti } from '@openvpnd/control-processor';
import type { DataChannel, DataSignal, PeerSettings } from '@openvpnd/data-channel';
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
import { type AuthFailure, emitOccMessage, type OccMessage, sessionIdHex } from '@openvpnd/wire';
import type { RetryAdvice, RunSignal } from '../host/signals.js';
import { applyKeyAction, type Carrier, type KeyAction, type KeyUse, packetShape } from '../install-keys.js';
import { logLinkLost } from '../link/log-link-lost.js';
import { logNegotiated } from '../log-negotiated.js';
import type { OccExchange } from '../occ-exchange.js';
import { NO_ACTIONS, type TunnelAction } from '../tunnel-action.js';
import type { ClientCredentials } from './client-credentials.js';
import { dataChannelEnd } from './data-channel-end.js';
import { ExitNotice, exitNotices } from './exit-notice.js';
import type { ImportedOptions } from './import-options.js';
import type { PeerPaths } from './peer-paths.js';
import type { PeerTunnel } from './peer-tunnel.js';
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
  /** Timers of the data channel until the server has pushed its own. */
  readonly peer: PeerSettings;
  /** --ping-timer-rem: silence counts only once the peer is known. */
  readonly silenceNeedsPeer: boolean;
  readonly keyUse: KeyUse;
  readonly occ: OccExchange;
  /** False with --mute-replay-warnings. */
  readonly replayWarnings: boolean;
  /** What the server's options mean together with ours; undefined: with these the connection must not go on. */
  readonly importOptions: (pushed: readonly string[]) => ImportedOptions | undefined;
  /** What a change by the server makes of what was imported before; undefined: with this the connection must not go on. */
  readonly importUpdate: (before: ImportedOptions, update: readonly string[]) => ImportedOptions | undefined;
  /** Takes the tokens that the server pushes. */
  readonly credentials: ClientCredentials;
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
  /** --auth-retry nointeract: try again after AUTH_FAILED instead of exiting. */
  readonly retryAfterAuthFailure: boolean;
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
  readonly #recursionGuard: RecursionGuard | undefined;
  readonly #internalMux: InternalMux;
  #peer: PeerSettings;
  #keyUse: KeyUse;
  /** What the server's options mean, once they have come. */
  #imported: ImportedOptions | undefined;
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
    this.#peer = options.peer;
    this.#keyUse = options.keyUse;
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
    const peer = this.#peer;
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
    for (const { address } of this.#mux.floated(rx)) {
      if (!this.#paths.handleFloated(address)) continue;
      this.#options.log?.info('client.float');
      this.#watchRecursion();
    }
    this.#internalMux.checkBatch(rx);
    return join(actions, this.#handleSignals(now));
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly TunnelAction[] {
    this.#internalMux.routeBatch(tx);
    if (this.#options.passTos) noteTrafficClass(tx);
    this.#recursionGuard?.report();
    this.#dataChannel.sealBatch(now, tx);
    this.#mux.addressBatch(tx);
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
      return join(actions, this.#end('SIGUSR1', 'server_poll', { retry: { advance: 'address', immediately: true } }));
    }
    if (now >= this.#sessionEnd) {
      this.#options.log?.info('client.session-timeout');
      return join(actions, this.#end('SIGTERM', 'session-timeout'));
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
    return this.#end('SIGUSR1', 'connection-reset');
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
    if (count === 0 || !this.#multi.connected) return this.#end(signal, '', { source: 'hard' });
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
      if (this.#options.silenceNeedsPeer) this.#dataChannel.configurePeer(SLOT, this.#peer, now);
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
        this.#options.occ.useShape(packetShape(action, this.#keyUse, this.#carrier));
        return this.#applyKeyAction(action);
      case 'send-with':
      case 'retire-keys':
        return this.#applyKeyAction(action);
      case 'pull':
        return action.first ? this.#completePull(now, action.options) : this.#pullMore(action.options);
      case 'push-update':
        return this.#updatePull(now, action.options);
      case 'auth-failed':
        return this.#authFailed(action.message.failure);
      case 'restart':
        return this.#end('SIGUSR1', 'server-pushed-connection-reset', {
          retry: { advance: action.message.nextServer ? 'remote' : 'no' },
        });
      case 'session-lost':
        return this.#end('SIGUSR1', LOST_TEXT[action.reason] ?? 'tls-error');
      case 'exit':
        return action.reason === 'server-pushed-halt'
          ? this.#end('SIGTERM', 'server-pushed-halt')
          : this.#end('SIGUSR1', 'remote-exit');
      case 'negotiated':
        if (this.#options.log !== undefined) {
          const { exitNotify } = this.#options;
          logNegotiated(this.#options.log, action.options, { peer: this.#peer, keyUse: this.#keyUse, exitNotify });
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
    applyKeyAction(this.#dataChannel, SLOT, action, this.#keyUse, this.#carrier);
    return NO_ACTIONS;
  }

  get #carrier(): Carrier {
    return { ipv6: this.peerAddress?.[ADDRESS_FAMILY] === 6, stream: this.#options.stream };
  }

  /** OpenVPN: receive_auth_failed(). */
  #authFailed(failure: AuthFailure): readonly TunnelAction[] {
    const text = failure.reason === '' ? 'AUTH_FAILED' : `AUTH_FAILED,${failure.reason}`;
    this.#options.log?.error('client.auth-failed', { text });
    if (failure.kind === 'temporary') {
      const { advance, backoffSeconds } = failure;
      return this.#end('SIGUSR1', 'auth-temp-failure (server temporary reject)', {
        retry: {
          advance: advance === 'addr' ? 'address' : advance,
          ...(backoffSeconds === undefined ? {} : { backoffSeconds }),
        },
      });
    }
    const retry = { advance: 'no' } as const;
    // Whatever the reason is: a server that has started anew does not know its tokens any more.
    if (this.#options.credentials.dropToken()) return this.#end('SIGUSR1', 'auth-failure (auth-token)', { retry });
    return this.#options.retryAfterAuthFailure
      ? this.#end('SIGUSR1', 'auth-failure', { retry })
      : this.#end('SIGTERM', 'auth-failure');
  }

  #completePull(now: Instant, pushed: readonly string[]): readonly TunnelAction[] {
    const imported = this.#options.importOptions(pushed);
    if (imported === undefined) return this.#end('SIGUSR1', 'process-push-msg-failed');
    this.#takeToken(imported);
    this.#imported = imported;
    this.#peer = imported.peer;
    this.#sessionEnd = now + imported.sessionTimeoutMs;
    this.#keyUse = { ...this.#keyUse, compression: imported.compression };
    this.#dataChannel.configurePeer(SLOT, imported.peer, now);
    this.#watchRecursion();
    const actions = this.#execute(now, this.#multi.completePull(now, imported.negotiated));
    // Without a common cipher there will be no tunnel, and nothing is set up for it.
    return this.#ended ? actions : join([{ type: 'configure', imported }], actions);
  }

  /** Of what comes after the first reply only a fresh token counts. */
  #pullMore(pushed: readonly string[]): readonly TunnelAction[] {
    const imported = this.#options.importOptions(pushed);
    if (imported !== undefined) this.#takeToken(imported);
    return NO_ACTIONS;
  }

  #takeToken({ pulled }: ImportedOptions): void {
    const { credentials } = this.#options;
    if (pulled.authToken === undefined || !credentials.takeToken(pulled.authToken, pulled.authTokenUser)) return;
    this.#multi.setCredentials(credentials.current);
  }

  /** Keys and framing stay: only what may be updated has changed. */
  #updatePull(now: Instant, update: readonly string[]): readonly TunnelAction[] {
    if (this.#imported === undefined) return NO_ACTIONS;
    const imported = this.#options.importUpdate(this.#imported, update);
    if (imported === undefined) return this.#end('SIGUSR1', 'process-push-msg-failed');
    this.#imported = imported;
    this.#peer = imported.peer;
    this.#dataChannel.configurePeer(SLOT, imported.peer, now);
    return [{ type: 'reconfigure', imported }];
  }

  /** Nothing is pulled: the own options are all there is. */
  #configureAlone(now: Instant): readonly TunnelAction[] {
    const imported = this.#options.importOptions([]);
    if (imported === undefined) return this.#end('SIGUSR1', 'process-push-msg-failed');
    this.#peer = imported.peer;
    this.#dataChannel.configurePeer(SLOT, imported.peer, now);
    this.#watchRecursion();
    return [{ type: 'configure', imported }];
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
        return end === undefined ? NO_ACTIONS : this.#end(end.signal, end.text);
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
    if (message.type === 'EXIT') return this.#end('SIGUSR1', 'remote-exit');
    const answer = this.#options.occ.handleMessage(message);
    if (answer !== undefined) this.#dataChannel.sendMessage(SLOT, emitOccMessage(answer), now);
    return NO_ACTIONS;
  }

  /** Repeats the goodbye, or ends once it was said often enough. */
  #continueExit(now: Instant, out: PacketVector): readonly TunnelAction[] {
    const step = this.#exit?.step(now) ?? 'nothing';
    if (step === 'end') return this.#end('SIGTERM', 'exit-with-notification');
    if (step === 'nothing') return NO_ACTIONS;
    const row = out.appendCopy(emitOccMessage({ type: 'EXIT' }));
    if (row >= 0) {
      out.slot[row] = SLOT;
      out.fate[row] = FATE_SEAL;
      this.#dataChannel.sealBatch(now, out);
    }
    return NO_ACTIONS;
  }

  #end(
    signal: RunSignal,
    text: string,
    more: { readonly source?: 'hard'; readonly retry?: RetryAdvice } = {},
  ): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    this.#ended = true;
    return [{ type: 'signal', info: { signal, source: 'soft', text, ...more } }];
  }
}

/** OpenVPN's signal texts. */
const LOST_TEXT: Readonly<Record<string, string>> = {
  'no-push-reply': 'no-push-reply',
  'negotiation-failed': 'process-push-msg-failed',
};

function join(a: readonly TunnelAction[], b: readonly TunnelAction[]): readonly TunnelAction[] {
  if (b.length === 0) return a;
  return a.length === 0 ? b : [...a, ...b];
}
