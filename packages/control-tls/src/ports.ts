/** What a TLS engine learned of one certificate of the peer. Depth 0 is the peer's own. */
export interface PeerCertificate {
  readonly depth: number;
  /** DER. */
  readonly raw: Uint8Array;
  /**
   * In OpenSSL's one-line form as OpenVPN prints it: `C=NL, O=Example, CN=client1`, in the certificate's order. Control
   * characters are written `\\09`, a backslash twice; nothing else is escaped.
   */
  readonly subject: string;
  readonly issuer: string;
  /** The last common name of the subject with control characters replaced by `_`; undefined if there is none or it holds a NUL. */
  readonly commonName: string | undefined;
  /** Decimal. */
  readonly serialNumber: string;
  /** The bits of the key usage extension as OpenVPN's --remote-cert-ku counts them (first octet low byte first: 0x80 digitalSignature), or undefined. */
  readonly keyUsage: number | undefined;
  /** Object identifiers of the extended key usage extension; empty when there is none. */
  readonly extendedKeyUsage: readonly string[];
  /** SHA-256 over `raw`. */
  readonly sha256: Uint8Array;
}

/** What an engine reports. It is taken in order with {@link TlsEngine.takeEvents}. */
export type TlsEvent =
  /** Bytes for the peer's engine. Owned by the taker. */
  | { readonly type: 'ciphertext'; readonly bytes: Uint8Array }
  /** Our side of the handshake is done and the peer's certificate chain is verified. */
  | {
      readonly type: 'secure';
      /** `TLSv1.3` */
      readonly version: string;
      /** `TLS_AES_256_GCM_SHA384` */
      readonly cipher: string;
      /** As OpenVPN's `Control Channel:` line tells it: `peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256`; may be empty. */
      readonly detail: string;
      /** From the peer's own upwards; empty when the peer showed none. */
      readonly certificates: readonly PeerCertificate[];
    }
  /** One TLS record of the peer. Owned by the taker. */
  | { readonly type: 'plaintext'; readonly bytes: Uint8Array }
  /** The peer ended the TLS session in order. */
  | { readonly type: 'closed' }
  /** The engine is dead. `reason` is one line for the log; `certificate` tells that verification of the peer's chain failed. */
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly certificate?: {
        readonly depth: number;
        readonly error: string;
        readonly subject: string;
        readonly serialNumber?: string;
      };
    };

/**
 * One TLS session over no socket: bytes in, events out. It may work asynchronously; then it calls the `wake` it was made with, once
 * for any number of new events, and never from inside a call made to it.
 */
export interface TlsEngine {
  /** The client sends its ClientHello; the server waits. */
  start(): void;
  /** Bytes from the peer's engine, in order. Copied. */
  writeCiphertext(bytes: Uint8Array): void;
  /** Exactly one TLS record for the peer; 1 … 16384 bytes. Copied. Not before 'secure'. */
  writePlaintext(bytes: Uint8Array): void;
  /** Whether something given to `writePlaintext` was not yet taken as 'ciphertext'. False after 'failed' and `close`. */
  plaintextPending(): boolean;
  /** Removes and returns what happened since the last call. */
  takeEvents(): readonly TlsEvent[];
  /** RFC 5705 without a context. After 'secure'. The caller owns and zeroes the result. Throws when the TLS version has no exporter. */
  exportKeyingMaterial(label: string, length: number): Uint8Array;
  /** Idempotent. Frees everything; no event and no wake follows. */
  close(): void;
}

/** Makes engines for one tunnel; holds the certificates and the TLS options. */
export interface TlsEngineFactory {
  create(options: { readonly role: 'client' | 'server'; readonly wake: () => void }): TlsEngine;
}
