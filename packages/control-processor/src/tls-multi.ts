import type { Instant } from '@openvpnd/sans-io';
import type { ControlAction } from './control-action.js';
import type { Credentials, Verdict } from './control-settings.js';
import type { NegotiatedOptions } from './negotiated-options.js';
import type { PulledOptions } from './pulled-options.js';
import type { TlsMultiOptions } from './tls-multi-options.js';

const NOTHING: readonly ControlAction[] = [];

/**
 * The control channel of one peer: its sessions (active, untrusted newcomer, lame duck) and their key states.
 * Sans-io: every input returns the actions that follow from it, in order. OpenVPN: struct tls_multi.
 *
 * SKELETON: the surface is final, the inside is being written.
 */
export class TlsMulti {
  readonly #options: TlsMultiOptions;

  constructor(options: TlsMultiOptions) {
    this.#options = options;
  }

  /** Begins: a client (and a p2p peer that knows its remote) sends its hard reset; a server waits. Call once. */
  start(_now: Instant): readonly ControlAction[] {
    return NOTHING;
  }

  /** A control packet as it came from the link, wrapped. Borrowed: not kept. */
  handlePacket(_now: Instant, _packet: Uint8Array): readonly ControlAction[] {
    return NOTHING;
  }

  /** A control packet that the stateless handshake has unwrapped already: the one that was accepted. */
  handleUnwrapped(_now: Instant, _packet: Uint8Array): readonly ControlAction[] {
    return NOTHING;
  }

  /** The instant of `nextTimeout` has come. Calling early or late does no harm. */
  handleTimeout(_now: Instant): readonly ControlAction[] {
    return NOTHING;
  }

  /** A TLS engine called `wake`. */
  handleWake(_now: Instant): readonly ControlAction[] {
    return NOTHING;
  }

  /** When `handleTimeout` wants to be called next. */
  nextTimeout(): Instant {
    return Number.POSITIVE_INFINITY;
  }

  /** The answer to a `verify`. One for a request that is gone (or answered already) is ignored. */
  handleVerdict(_now: Instant, _requestId: number, _verdict: Verdict): readonly ControlAction[] {
    return NOTHING;
  }

  /**
   * Server, after `push-request`: sends these options (the common ones, then `ifconfig-ipv6`, `ifconfig` …) and behind them
   * those that were negotiated (`peer-id`, `cipher`, `protocol-flags`, `tun-mtu`), and installs the keys.
   *
   * @throws RangeError when an option does not fit into a message: check with MAX_PUSH_OPTION_BYTES of wire.
   */
  sendPushReply(_now: Instant, _options: readonly string[]): readonly ControlAction[] {
    return NOTHING;
  }

  /** Client, after the first `pull`: what the server decided, from `readPulledOptions`. Installs the keys. */
  completePull(_now: Instant, _pulled: PulledOptions): readonly ControlAction[] {
    return NOTHING;
  }

  /** Sends a text on the control channel, when the channel is up; it waits during a renegotiation. At most 64 wait. */
  sendControlMessage(_now: Instant, _text: string): readonly ControlAction[] {
    return NOTHING;
  }

  /** Starts a renegotiation now, unless one is under way. `reason` is for the log: `bytes`, `packets`, `packet-id`. */
  renegotiate(_now: Instant, _reason: string): readonly ControlAction[] {
    return NOTHING;
  }

  /** The data channel has opened the first packet under this key: the peer has it, so we may send with it. Optional. */
  handleKeyInUse(_now: Instant, _keyId: number): readonly ControlAction[] {
    return NOTHING;
  }

  /** Server: refuses the peer with AUTH_FAILED and ends it after the scheduled exit. Final. */
  authFailed(_now: Instant, _reason: string | undefined): readonly ControlAction[] {
    return NOTHING;
  }

  /** Server: `exit` follows after `scheduledExitMs` (for instance behind a RESTART). The first deadline stays. */
  scheduleExit(_now: Instant): readonly ControlAction[] {
    return NOTHING;
  }

  /** Server: a deferred authentication may take until then before the peer is given up; sends AUTH_PENDING. */
  authPending(_now: Instant, _timeoutSeconds: number, _info: string | undefined): readonly ControlAction[] {
    return NOTHING;
  }

  /**
   * --explicit-exit-notify: says EXIT on the control channel when both ends can. Otherwise `handled` is false and the
   * caller has to send OCC_EXIT on the data channel.
   */
  notifyExit(_now: Instant): { readonly handled: boolean; readonly actions: readonly ControlAction[] } {
    return { handled: false, actions: NOTHING };
  }

  /** What the next key exchange sends as username and password. */
  setCredentials(_credentials: Credentials | undefined): void {}

  /** What was negotiated, once it was. */
  get negotiated(): NegotiatedOptions | undefined {
    return undefined;
  }

  /** Whether the peer has a session that is authenticated and carries data. */
  get connected(): boolean {
    return this.#options === undefined;
  }

  /** Frees and zeroes everything; nothing may be called afterwards but `close`. Idempotent. */
  close(): void {}
}
