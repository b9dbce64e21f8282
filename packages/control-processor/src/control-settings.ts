import type { Instant } from '@openvpnd/sans-io';
import type { PeerPolicy } from './peer-verification.js';

/** What a client sends as `auth-user-pass`. */
export interface Credentials {
  /** At most 127 bytes of UTF-8, as the password. */
  readonly username: string;
  readonly password: string;
}

/** The options that a {@link TlsMulti} works by. All times in milliseconds. */
export interface ControlSettings {
  /** --hand-window, 60 000: a key exchange must finish within it. */
  readonly handWindowMs: number;
  /** --tran-window, 3 600 000: how long an old key lives on after a renegotiation. */
  readonly tranWindowMs: number;
  /** --reneg-sec, 3 600 000; 0: never by time. A server in p2mp mode takes up to 10 % off at random. */
  readonly renegMs: number;
  /** The second parameter of --reneg-sec: take the interval at random between it and `renegMs`. */
  readonly renegMinMs?: number;
  /** --tls-timeout: wait before the first retransmission. Absent (better): half a second, then as the round trip is measured. */
  readonly tlsTimeoutMs?: number;
  /** --max-packet-size, 1250: largest control packet with its IP and UDP headers. */
  readonly maxPacketBytes: number;

  /** Our options string, from `optionsString`. */
  readonly optionsString: string;
  /** The one that we expect of the peer; differences are logged. */
  readonly expectedOptionsString: string;
  /** --data-ciphers, normalised by `normaliseCiphers`. */
  readonly dataCiphers: readonly string[];
  /** --data-ciphers-fallback: for peers that announce no cipher at all. */
  readonly fallbackCipher?: string;
  /** Server: --compress migrate: clients whose options string has a compression framing are moved to a stub. */
  readonly compressMigrate?: boolean;
  /** Our peer info, from `ownPeerInfo`; undefined sends none (a server). */
  readonly peerInfo?: string;
  /** The IV_PROTO bits that we can do, from `ownIvProto`; a server has them too though it does not send them. */
  readonly ivProto: number;
  /** Client: ask for options (--pull). False only in p2p mode. */
  readonly pull: boolean;
  /** Client: --auth-user-pass. Replace later ones with `setCredentials`. */
  readonly credentials?: Credentials;
  /** --remote-cert-tls, --remote-cert-ku, --remote-cert-eku, --verify-x509-name. */
  readonly peerPolicy: PeerPolicy;
  /** Server: the peer id that is given to the client: its slot. */
  readonly peerId?: number;
  /** Server: pushed as `tun-mtu` to clients that sent IV_MTU. */
  readonly tunMtu: number;
  /** --single-session: once a session has authenticated, no other may begin. Default: false. */
  readonly singleSession?: boolean;
  /** Server: how long after AUTH_FAILED, RESTART or EXIT the peer is kept; 5000. */
  readonly scheduledExitMs: number;
}

/** The instant of a `now` in whole seconds of Unix time, for the packet ids of wrapped control packets. */
export type UnixTime = (now: Instant) => number;

/** The decision about a {@link ControlAction} `verify`. Undecided is simply no answer yet. */
export type Verdict =
  | {
      readonly type: 'accept';
      /** The name under which the peer counts, when it is not the one it sent (an auth-token with an empty username). */
      readonly username?: string;
    }
  | {
      readonly type: 'reject';
      /** Goes to the client behind `AUTH_FAILED,`. No comma-free rule; control characters are replaced. */
      readonly reason?: string;
    };
