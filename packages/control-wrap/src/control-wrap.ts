import type { Instant, Secret } from '@openvpnd/sans-io';
import type { Parsed } from '@openvpnd/wire';
import type { ClientKeyMetadata } from './client-key-metadata.js';

/** How the control packets of a session are protected. */
export type ControlWrapName = 'none' | 'tls-auth' | 'tls-crypt' | 'tls-crypt-v2';

/**
 * Protects the control packets of one TLS session: it has the session's own packet id counter and replay window, which
 * all its key ids share. Both sides of OpenVPN: tls_wrap_control(), read_control_auth().
 */
export interface ControlWrap {
  readonly name: ControlWrapName;
  /** Bytes that {@link wrap} adds to a packet. */
  readonly overheadBytes: number;
  /**
   * Bytes that {@link wrap} adds once more to P_CONTROL_HARD_RESET_CLIENT_V3 and P_CONTROL_WKC_V1: the wrapped client key
   * of a tls-crypt-v2 client, otherwise 0.
   */
  readonly wrappedKeyBytes: number;
  /** The key file behind this wrap, which a dynamic tls-crypt key is mixed with, if there is one. */
  readonly fileKey: Secret | undefined;
  /** What a tls-crypt-v2 server read from its client's key; set by the first packet that opened. */
  readonly clientKey: ReceivedClientKey | undefined;
  /**
   * Protects a packet of emitControlPacket. Each call takes a new packet id, so a retransmission is wrapped anew. The
   * caller owns the result; `packet` is not kept.
   */
  wrap(packet: Uint8Array): Uint8Array;
  /**
   * Checks a received packet and answers it without its protection, as a copy, for parseControlPacket. Total over all
   * inputs. A refused packet changes nothing.
   */
  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array>;
  /** Zeroes keys that only this session has. Idempotent. The wrap is of no use afterwards. */
  close(): void;
}

/** What the first packet of a tls-crypt-v2 client told the server. */
export interface ReceivedClientKey {
  readonly metadata: ClientKeyMetadata;
  /** The client announces that it understands early negotiation (2.6 and later). */
  readonly earlyNegotiation: boolean;
}

/** Makes a wrap for each session from key material that is read once. */
export interface ControlWrapFactory {
  readonly name: ControlWrapName;
  /**
   * @param unixSeconds the time of the session's first packet; every packet carries it
   * @param firstPacketId the packet id of the first packet, where it is not the usual one: the stateless handshake has
   *   sent some already
   */
  create(unixSeconds: number, firstPacketId?: number): ControlWrap;
}

/** The role in TLS, which decides about the direction of tls-crypt keys. */
export type TlsRole = 'client' | 'server';

/** Width of a replay window. OpenVPN: --replay-window n t. */
export interface ReplayWindowOptions {
  /** How far behind the highest packet id one may come: 0 … 65536 packets; 0 wants them in order. */
  readonly packets: number;
  /** After how many seconds a seen packet id bars those below it: 0 … 600. */
  readonly seconds: number;
}

/** OpenVPN's default. */
export const DEFAULT_REPLAY_WINDOW: ReplayWindowOptions = { packets: 64, seconds: 15 };
