import type { Instant, Secret } from '@openvpnd/sans-io';
import {
  CONTROL_HEADER_BYTES,
  LONG_PACKET_ID_BYTES,
  opcodeOf,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_WKC_V1,
  type Parsed,
  refused,
} from '@openvpnd/wire';
import { findWrappedKey, type TlsCryptV2ClientKey, unwrapClientKey } from './client-key.js';
import type { ClientKeyMetadata } from './client-key-metadata.js';
import {
  type ControlWrap,
  type ControlWrapFactory,
  type ControlWrapName,
  DEFAULT_REPLAY_WINDOW,
  type ReceivedClientKey,
  type ReplayWindowOptions,
} from './control-wrap.js';
import { SIV_TAG_BYTES } from './siv-frame.js';
import { TLS_CRYPT_OVERHEAD_BYTES, TlsCryptWrap, tlsCryptKeys, tlsCryptPacketId } from './tls-crypt.js';

/**
 * First packet id of a peer that understands early negotiation: its upper byte is the announcement. The counter of 2.6
 * is set to 0x0f000000 and raised before it is used. OpenVPN: EARLY_NEG_START.
 */
export const EARLY_NEGOTIATION_FIRST_ID = 0x0f00_0001;
const EARLY_NEGOTIATION_MASK = 0x0f00_0000;
/** What must stand in front of a wrapped client key. */
const LEAST_BYTES = CONTROL_HEADER_BYTES + LONG_PACKET_ID_BYTES + SIV_TAG_BYTES;

/** Tells whether a packet of that opcode ends with a wrapped client key. */
export function carriesWrappedKey(opcode: number): boolean {
  return opcode === P_CONTROL_HARD_RESET_CLIENT_V3 || opcode === P_CONTROL_WKC_V1;
}

/**
 * tls-crypt-v2 on a client: tls-crypt with a key of its own. P_CONTROL_HARD_RESET_CLIENT_V3 and P_CONTROL_WKC_V1 get the
 * wrapped key at their end, in clear and outside the tag. OpenVPN: tls_crypt_v2_init_client_key().
 */
export function tlsCryptV2ClientWraps(options: {
  /** Borrowed for as long as the wraps live. */
  readonly clientKey: TlsCryptV2ClientKey;
  readonly replayWindow?: ReplayWindowOptions;
}): ControlWrapFactory {
  const { clientKey, replayWindow = DEFAULT_REPLAY_WINDOW } = options;
  const keys = tlsCryptKeys(clientKey.key, 'client');
  return {
    name: 'tls-crypt-v2',
    create(unixSeconds, firstPacketId = EARLY_NEGOTIATION_FIRST_ID) {
      const inner = new TlsCryptWrap({
        name: 'tls-crypt-v2',
        key: clientKey.key,
        keys,
        ownsKey: false,
        replayWindow,
        unixSeconds,
        firstPacketId,
      });
      return new ClientWrap(inner, clientKey.wrappedKey);
    },
  };
}

/** What a tls-crypt-v2 server is made from. */
export interface TlsCryptV2ServerOptions {
  /** 128 bytes. Borrowed for as long as the wraps live. */
  readonly serverKey: Secret;
  /** tls-auth or tls-crypt beside it, for clients that come with another opcode. */
  readonly fallback?: ControlWrapFactory;
  /**
   * Judges what stands in an authentic client key, at once; `unixSeconds` is the time of the session's first packet. All are admitted
   * when absent.
   */
  readonly admits?: (metadata: ClientKeyMetadata, unixSeconds: number) => boolean;
  readonly replayWindow?: ReplayWindowOptions;
}

/**
 * tls-crypt-v2 on a server. A wrap learns its key from the first packet that opens and keeps it: a wrapped key in a later
 * packet is cut off and ignored. Until then it cannot wrap. OpenVPN: tls_crypt_v2_extract_client_key().
 */
export function tlsCryptV2ServerWraps(options: TlsCryptV2ServerOptions): ControlWrapFactory {
  return {
    name: 'tls-crypt-v2',
    create: (unixSeconds, firstPacketId) => new ServerWrap(options, unixSeconds, firstPacketId),
  };
}

class ClientWrap implements ControlWrap {
  readonly name = 'tls-crypt-v2';
  readonly overheadBytes: number = TLS_CRYPT_OVERHEAD_BYTES;
  readonly wrappedKeyBytes: number;
  readonly clientKey = undefined;
  readonly #inner: TlsCryptWrap;
  readonly #wrappedKey: Uint8Array;

  constructor(inner: TlsCryptWrap, wrappedKey: Uint8Array) {
    this.#inner = inner;
    this.#wrappedKey = wrappedKey;
    this.wrappedKeyBytes = wrappedKey.length;
  }

  get fileKey(): Secret {
    return this.#inner.fileKey;
  }

  wrap(packet: Uint8Array): Uint8Array {
    const wrapped = this.#inner.wrap(packet);
    if (!carriesWrappedKey(opcodeOf(packet[0]!))) return wrapped;
    const bytes = new Uint8Array(wrapped.length + this.#wrappedKey.length);
    bytes.set(wrapped);
    bytes.set(this.#wrappedKey, wrapped.length);
    return bytes;
  }

  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    return this.#inner.unwrap(now, bytes);
  }

  close(): void {
    this.#inner.close();
  }
}

class ServerWrap implements ControlWrap {
  readonly wrappedKeyBytes = 0;
  #clientKey: ReceivedClientKey | undefined;
  readonly #options: TlsCryptV2ServerOptions;
  readonly #unixSeconds: number;
  readonly #firstPacketId: number | undefined;
  /** What the first packet decided for. */
  #chosen: ControlWrap | undefined;

  constructor(options: TlsCryptV2ServerOptions, unixSeconds: number, firstPacketId: number | undefined) {
    this.#options = options;
    this.#unixSeconds = unixSeconds;
    this.#firstPacketId = firstPacketId;
  }

  get name(): ControlWrapName {
    return this.#chosen?.name ?? 'tls-crypt-v2';
  }

  get overheadBytes(): number {
    return this.#chosen?.overheadBytes ?? TLS_CRYPT_OVERHEAD_BYTES;
  }

  get fileKey(): Secret | undefined {
    return this.#chosen?.fileKey;
  }

  get clientKey(): ReceivedClientKey | undefined {
    return this.#clientKey;
  }

  wrap(packet: Uint8Array): Uint8Array {
    if (!this.#chosen) throw new TypeError('a tls-crypt-v2 server cannot speak before its client has');
    return this.#chosen.wrap(packet);
  }

  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    // A packet under tls-auth may be shorter than any under tls-crypt.
    if (bytes.length < CONTROL_HEADER_BYTES) return refused('tls-crypt-v2: too short');
    const withKey = carriesWrappedKey(opcodeOf(bytes[0]!));
    if (this.#chosen) {
      if (!withKey) return this.#chosen.unwrap(now, bytes);
      if (!this.#clientKey) return refused('tls-crypt-v2: client key in a session without');
      const start = findWrappedKey(bytes, LEAST_BYTES);
      if (start < 0) return refused('tls-crypt-v2: wrapped client key of a wrong length');
      return this.#chosen.unwrap(now, bytes.subarray(0, start));
    }
    return withKey ? this.#openFirst(now, bytes) : this.#openFallback(now, bytes);
  }

  close(): void {
    this.#chosen?.close();
  }

  #openFirst(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    const start = findWrappedKey(bytes, LEAST_BYTES);
    if (start < 0) return refused('tls-crypt-v2: wrapped client key of a wrong length');
    const unwrapped = unwrapClientKey(this.#options.serverKey, bytes.subarray(start));
    if (!unwrapped.ok) return unwrapped;
    const { key, metadata } = unwrapped.value;
    if (!(this.#options.admits?.(metadata, this.#unixSeconds) ?? true)) {
      key.zero();
      return refused('tls-crypt-v2: client key not admitted');
    }
    const inner = new TlsCryptWrap({
      name: 'tls-crypt-v2',
      key,
      keys: tlsCryptKeys(key, 'server'),
      ownsKey: true,
      replayWindow: this.#options.replayWindow ?? DEFAULT_REPLAY_WINDOW,
      unixSeconds: this.#unixSeconds,
      firstPacketId: this.#firstPacketId ?? EARLY_NEGOTIATION_FIRST_ID,
    });
    const packet = inner.unwrap(now, bytes.subarray(0, start));
    if (!packet.ok) {
      key.zero();
      return packet;
    }
    this.#chosen = inner;
    const { id } = tlsCryptPacketId(bytes);
    this.#clientKey = { metadata, earlyNegotiation: (id & EARLY_NEGOTIATION_MASK) === EARLY_NEGOTIATION_MASK };
    return packet;
  }

  #openFallback(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    if (!this.#options.fallback) return refused('tls-crypt-v2: no client key');
    const wrap = this.#options.fallback.create(this.#unixSeconds, this.#firstPacketId);
    const packet = wrap.unwrap(now, bytes);
    if (packet.ok) this.#chosen = wrap;
    return packet;
  }
}
