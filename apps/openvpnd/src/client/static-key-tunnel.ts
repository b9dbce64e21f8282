import type { NegotiatedOptions } from '@openvpnd/control-processor';
import type { DataChannel, DataSignal, PeerSettings } from '@openvpnd/data-channel';
import { type ExternalMux, formatLinkAddress } from '@openvpnd/external-mux';
import { type InternalMux, noteTrafficClass } from '@openvpnd/internal-mux';
import type { DataChannelKeys } from '@openvpnd/keygen';
import { ADDRESS_FAMILY, type LinkAddress, type PacketVector } from '@openvpnd/memory';
import { assertNever, earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import { emitOccMessage, type OccMessage } from '@openvpnd/wire';
import type { RunSignal } from '../host/signals.js';
import { installStaticKey, type KeyUse } from '../install-keys.js';
import { logLinkLost } from '../link/log-link-lost.js';
import { logDataChannel, warnOfWeakness } from '../log-negotiated.js';
import { NO_ACTIONS, type TunnelAction } from '../tunnel-action.js';
import { dataChannelEnd } from './data-channel-end.js';
import { ExitNotice, exitNotices } from './exit-notice.js';
import type { ImportedOptions } from './import-options.js';
import type { OccExchange } from './occ-exchange.js';
import type { PeerPaths } from './peer-paths.js';
import type { PeerTunnel } from './peer-tunnel.js';
import type { ClientTraffic } from './statistics.js';

/** The one peer. */
const SLOT = 0;

export interface StaticKeyTunnelOptions {
  /** With room for one peer. */
  readonly dataChannel: DataChannel;
  /** For packets without opcodes. */
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  /** Where the peer is or may be. */
  readonly paths: PeerPaths;
  /** Taken over: zeroed when the tunnel closes. */
  readonly keys: DataChannelKeys;
  readonly keyUse: KeyUse;
  /** Unix seconds at an instant. */
  readonly unixTime: (now: Instant) => number;
  /** The outer address family of a peer that nobody knows yet may be IPv6. */
  readonly mayBeIpv6: boolean;
  /** The link is a TCP connection. */
  readonly stream: boolean;
  /** Timers and limits of the data channel. */
  readonly peer: PeerSettings;
  /** --ping-timer-rem: silence counts only once the peer is known. */
  readonly silenceNeedsPeer: boolean;
  readonly occ: OccExchange;
  /** False with --mute-replay-warnings. */
  readonly replayWarnings: boolean;
  /** How device and routes are to be. */
  readonly imported: ImportedOptions;
  /** --passtos */
  readonly passTos: boolean;
  /** --session-timeout; Infinity: none. */
  readonly sessionTimeoutMs: number;
  /** --explicit-exit-notify: how often to say goodbye; 0: not at all. */
  readonly exitNotify: number;
  readonly log: Log;
}

/**
 * A tunnel between two points with a static key (`--secret`), without any I/O: there is no control channel, every packet is data, and the first authentic one
 * shows that the peer is there. OpenVPN: tunnel_point_to_point() without TLS.
 */
export class StaticKeyTunnel implements PeerTunnel {
  readonly #options: StaticKeyTunnelOptions;
  readonly #dataChannel: DataChannel;
  readonly #mux: ExternalMux;
  readonly #paths: PeerPaths;
  readonly #occ: OccExchange;
  #established = false;
  #sessionEnd: Instant = NEVER;
  #exit: ExitNotice | undefined;
  #ended = false;

  constructor(options: StaticKeyTunnelOptions) {
    this.#options = options;
    this.#dataChannel = options.dataChannel;
    this.#mux = options.mux;
    this.#paths = options.paths;
    this.#occ = options.occ;
  }

  start(now: Instant): readonly TunnelAction[] {
    const { keys, keyUse: use, unixTime, stream, peer, imported, log } = this.#options;
    this.#paths.start(now);
    const patient = this.#paths.waiting && this.#options.silenceNeedsPeer;
    this.#dataChannel.addPeer(SLOT, patient ? { ...peer, silence: undefined } : peer, now);
    warnOfWeakness(log, keys.cipher.name, use.auth);
    const family = this.peerAddress?.[ADDRESS_FAMILY];
    const ipv6 = family === undefined ? this.#options.mayBeIpv6 : family === 6;
    const shape = installStaticKey(this.#dataChannel, SLOT, keys, { use, carrier: { ipv6, stream }, unixTime });
    log.debug('static-key.initialised', {
      cipher: keys.cipher.name,
      keyBits: keys.cipher.keyBytes * 8,
      auth: use.auth,
      hashBits: shape.digestBytes * 8,
    });
    this.#occ.useShape(shape);
    this.#sessionEnd = now + this.#options.sessionTimeoutMs;
    return [{ type: 'configure', imported }];
  }

  handleLinkBatch(now: Instant, rx: PacketVector): readonly TunnelAction[] {
    this.#mux.classifyBatch(now, rx);
    this.#dataChannel.openBatch(now, rx);
    for (const { address } of this.#mux.floated(rx)) this.#follow(now, address);
    this.#options.internalMux.checkBatch(rx);
    return this.#handleSignals(now);
  }

  handleDeviceBatch(now: Instant, tx: PacketVector): readonly TunnelAction[] {
    this.#options.internalMux.routeBatch(tx);
    if (this.#options.passTos) noteTrafficClass(tx);
    this.#dataChannel.sealBatch(now, tx);
    this.#mux.addressBatch(tx);
    return this.#handleSignals(now);
  }

  handleTimeout(now: Instant, out: PacketVector): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    if (now >= this.#sessionEnd) {
      this.#options.log.info('client.session-timeout');
      return this.#end('SIGTERM', 'session-timeout');
    }
    // Each address of the peer is tried in its turn; here that only means where packets go.
    this.#paths.handleTimeout(now);
    for (const message of this.#occ.handleTimeout(now)) this.#say(now, message);
    const actions = this.#continueExit(now);
    this.#dataChannel.handleTimeout(now, out);
    this.#mux.addressBatch(out);
    return actions.length > 0 ? actions : this.#handleSignals(now);
  }

  /** The connection to the peer has ended, or its bytes make no sense. */
  handleLinkLost(_now: Instant, _link: number, error: Error): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    logLinkLost(this.#options.log, error);
    return this.#end('SIGUSR1', 'connection-reset');
  }

  nextTimeout(): Instant {
    if (this.#ended) return NEVER;
    const own = earliest(earliest(this.#sessionEnd, this.#exit?.nextTimeout() ?? NEVER), this.#paths.nextTimeout());
    return earliest(own, earliest(this.#occ.nextTimeout(), this.#dataChannel.nextTimeout()));
  }

  get traffic(): ClientTraffic {
    return { counters: this.#dataChannel.counters(SLOT), controlBytesIn: 0, controlBytesOut: 0 };
  }

  get peerAddress(): LinkAddress | undefined {
    return this.#paths.current;
  }

  /** Ends the tunnel: says goodbye when the options ask for it, and raises the signal when that is done. */
  beginExit(now: Instant, signal: RunSignal): readonly TunnelAction[] {
    if (this.#exit !== undefined || this.#ended) return NO_ACTIONS;
    const count = exitNotices(signal, this.#options.exitNotify);
    if (count === 0 || !this.#established) return this.#end(signal, '', 'hard');
    this.#options.log.info('client.exit-notify', { signal });
    this.#exit = new ExitNotice(now, count, false);
    return NO_ACTIONS;
  }

  close(): void {
    this.#ended = true;
    this.#dataChannel.removePeer(SLOT);
    this.#mux.removePeer(SLOT);
  }

  #follow(now: Instant, address: LinkAddress): void {
    const wasWaiting = this.#paths.waiting;
    if (!this.#paths.handleFloated(address)) return;
    if (wasWaiting && this.#options.silenceNeedsPeer) {
      this.#dataChannel.configurePeer(SLOT, this.#options.peer, now);
    }
    // The first one is told with the key that it uses.
    if (this.#established) this.#options.log.info('static-key.peer-initiated', { from: formatLinkAddress(address) });
  }

  #handleSignals(now: Instant): readonly TunnelAction[] {
    let actions = NO_ACTIONS;
    for (const signal of this.#dataChannel.takeSignals()) {
      if (this.#ended) break;
      const more = this.#handleSignal(now, signal);
      if (more.length > 0) actions = [...actions, ...more];
    }
    return actions;
  }

  #handleSignal(now: Instant, signal: DataSignal): readonly TunnelAction[] {
    switch (signal.type) {
      case 'key-in-use':
        return this.#establish(now);
      case 'ping-restart':
      case 'ping-exit':
      case 'inactive':
      case 'refused': {
        const end = dataChannelEnd(signal, this.#options);
        return end === undefined ? NO_ACTIONS : this.#end(end.signal, end.text);
      }
      case 'occ': {
        if (signal.message.type === 'EXIT') return this.#end('SIGUSR1', 'remote-exit');
        const answer = this.#occ.handleMessage(signal.message);
        if (answer !== undefined) this.#say(now, answer);
        return NO_ACTIONS;
      }
      case 'renegotiate':
        // There is no other key.
        return NO_ACTIONS;
      default:
        return assertNever(signal);
    }
  }

  #establish(now: Instant): readonly TunnelAction[] {
    const { log, keys, keyUse, peer, exitNotify } = this.#options;
    const address = this.#mux.addressOf(SLOT);
    this.#established = true;
    log.info('static-key.peer-initiated', { from: address === undefined ? 'peer' : formatLinkAddress(address) });
    logDataChannel(log, agreed(keys.cipher.name), { peer, keyUse, exitNotify });
    this.#occ.begin(now);
    return [{ type: 'established' }];
  }

  #say(now: Instant, message: OccMessage): void {
    this.#dataChannel.sendMessage(SLOT, emitOccMessage(message), now);
  }

  /** Repeats the goodbye, or ends once it was said often enough. */
  #continueExit(now: Instant): readonly TunnelAction[] {
    const step = this.#exit?.step(now) ?? 'nothing';
    if (step === 'end') return this.#end('SIGTERM', 'exit-with-notification');
    if (step === 'say') this.#say(now, { type: 'EXIT' });
    return NO_ACTIONS;
  }

  #end(signal: RunSignal, text: string, source: 'hard' | 'soft' = 'soft'): readonly TunnelAction[] {
    if (this.#ended) return NO_ACTIONS;
    this.#ended = true;
    return [{ type: 'signal', info: { signal, source, text } }];
  }
}

/** What would have been negotiated, had there been anybody to do it. */
function agreed(cipher: string): NegotiatedOptions {
  return { cipher, peerId: undefined, keyDerivation: 'prf', ccExit: false, dynamicTlsCrypt: false, epochKeys: false };
}
