import type { PeerCertificate } from '@openvpnd/control-tls';
import type { DataChannelKeys } from '@openvpnd/keygen';
import type { ControlMessage, PeerInfo } from '@openvpnd/wire';
import type { NegotiatedOptions } from './negotiated-options.js';

/**
 * Why nothing is left of a peer's sessions. A client restarts (OpenVPN: SIGUSR1), a server removes the instance.
 *
 * | reason | OpenVPN |
 * |---|---|
 * | `handshake-timeout` | `TLS Error: TLS key negotiation failed to occur within … seconds`, then SIGUSR1[soft,tls-error] |
 * | `tls-error` | `TLS Error: TLS handshake failed`, SIGUSR1[soft,tls-error] |
 * | `verification-failed` | as tls-error; the peer's certificate was refused by our policy |
 * | `no-push-reply` | SIGUSR1[soft,no-push-reply] |
 * | `negotiation-failed` | SIGUSR1[soft,process-push-msg-failed]: no cipher or key derivation in common (client) |
 * | `not-connected` | the peer authenticated but never finished the push exchange within the hand window (server) |
 * | `keys-expired` | the last lame duck key reached the end of tran-window |
 */
export type SessionLostReason =
  | 'handshake-timeout'
  | 'tls-error'
  | 'verification-failed'
  | 'no-push-reply'
  | 'negotiation-failed'
  | 'not-connected'
  | 'keys-expired';

/**
 * Why the peer is to be ended on purpose. `remote-exit`: it said EXIT (client: SIGUSR1; server: after the scheduled exit);
 * `auth-failed`: the scheduled exit after our AUTH_FAILED; `server-pushed-halt`: HALT (client: SIGTERM); `delayed-exit`: the scheduled
 * exit that `scheduleExit` asked for.
 */
export type ExitReason = 'remote-exit' | 'auth-failed' | 'server-pushed-halt' | 'delayed-exit';

/** What the owner of a {@link TlsMulti} has to do, in the order of the list. */
export type ControlAction =
  /** A control packet for the peer, wrapped; owned by the taker. */
  | { readonly type: 'send'; readonly packet: Uint8Array }
  /**
   * Server: decide about the peer and answer with `handleVerdict`, now or later; until then nothing is pushed and the
   * peer's keys are not used. Certificates have passed the TLS engine and the {@link PeerPolicy}.
   */
  | {
      readonly type: 'verify';
      readonly requestId: number;
      readonly certificates: readonly PeerCertificate[];
      readonly username: string | undefined;
      readonly password: string | undefined;
      /** A username or password was longer than the limit; only a refusal makes sense if one is required. */
      readonly credentialsTooLong: boolean;
      readonly peerInfo: PeerInfo;
      /** False for the first key of a session. */
      readonly renegotiation: boolean;
    }
  /**
   * The first key of a session is authenticated and its control channel up: `Peer Connection Initiated`. `again` tells
   * that an earlier session of this peer was connected and has just been replaced (the peer lost its state).
   */
  | {
      readonly type: 'peer-initiated';
      readonly commonName: string | undefined;
      readonly username: string | undefined;
      readonly certificates: readonly PeerCertificate[];
      readonly peerInfo: PeerInfo;
      readonly again: boolean;
    }
  /** Server: the peer may be answered with `sendPushReply`, now or later. Comes once a session. */
  | { readonly type: 'push-request'; readonly peerInfo: PeerInfo }
  /**
   * Client: the server's options, all parts joined, unfiltered. When `first`, answer with `completePull`; a later one (a
   * refreshed auth-token) needs no answer.
   */
  | { readonly type: 'pull'; readonly options: readonly string[]; readonly first: boolean }
  /** Client: options that the server changes while the tunnel stands, all parts joined, unfiltered, as `-route` or `?dns …`. */
  | { readonly type: 'push-update'; readonly options: readonly string[] }
  /** The data channel's parameters are settled; keys follow. */
  | { readonly type: 'negotiated'; readonly options: NegotiatedOptions }
  /**
   * Be ready to open the peer's packets under this key. `peerId` is what to put into our P_DATA_V2 headers, undefined for
   * P_DATA_V1; `epoch`: they are the beginning of epoch data keys. The keys stay ours: they are zeroed when the matching `retire-keys` has been returned, so copy what is kept.
   */
  | {
      readonly type: 'install-keys';
      readonly keyId: number;
      readonly keys: DataChannelKeys;
      readonly peerId: number | undefined;
      readonly epoch: boolean;
    }
  /** From now on seal with this key, which is installed. */
  | { readonly type: 'send-with'; readonly keyId: number }
  /** Forget this key. */
  | { readonly type: 'retire-keys'; readonly keyId: number }
  /** The tunnel can carry data in both directions. Comes once for each session that takes over (`again` as above). */
  | { readonly type: 'connected'; readonly again: boolean }
  /** A message that is not handled inside: INFO, INFO_PRE, CR_RESPONSE, AUTH_PENDING. */
  | { readonly type: 'control-message'; readonly message: ControlMessage }
  /** Client: the server refused us. `message` is the parsed AUTH_FAILED (its reason, TEMP flags, challenge). */
  | { readonly type: 'auth-failed'; readonly message: Extract<ControlMessage, { readonly type: 'AUTH_FAILED' }> }
  /** Client: the server asks us to connect anew. */
  | { readonly type: 'restart'; readonly message: Extract<ControlMessage, { readonly type: 'RESTART' }> }
  | { readonly type: 'session-lost'; readonly reason: SessionLostReason }
  | { readonly type: 'exit'; readonly reason: ExitReason };
