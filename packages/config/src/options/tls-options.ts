import type { CompressionOptions } from './compression-options.js';
import type { FileSource } from './file-source.js';

/** A version of TLS. */
export type TlsVersion = '1.0' | '1.1' | '1.2' | '1.3';

/** `reneg-sec`, `reneg-bytes`, `reneg-pkts`. */
export interface RenegotiationOptions {
  /** Longest life of a key; 0 without end. */
  readonly maxSeconds: number;
  /** Shortest; undefined: 90 % of the longest on a server, the longest on a client. */
  readonly minSeconds: number | undefined;
  /** Undefined: the cipher decides; 0 never. */
  readonly bytes: number | undefined;
  /** 0 never. */
  readonly packets: number;
}

/** Options of TLS and of key exchange. */
export interface TlsOptions {
  readonly role: 'client' | 'server';
  readonly ca: FileSource | undefined;
  readonly cert: FileSource | undefined;
  readonly key: FileSource | undefined;
  readonly extraCerts: FileSource | undefined;
  /** Inline text is base64. */
  readonly pkcs12: FileSource | undefined;
  /** Undefined: none, ECDH only. */
  readonly dh: FileSource | undefined;
  readonly crl: FileSource | undefined;
  /** Default 1.2. */
  readonly versionMin: TlsVersion;
  readonly versionMax: TlsVersion | undefined;
  /** `tls-cipher` as written, OpenSSL or IANA names. */
  readonly cipherList: string | undefined;
  /** `tls-ciphersuites`, for TLS 1.3. */
  readonly cipherSuites: string | undefined;
  readonly groups: string | undefined;
  /** `remote-cert-tls`. */
  readonly remoteCertTls: 'client' | 'server' | undefined;
  /** `remote-cert-ku`: one of these bit masks must be covered; empty: any key usage; undefined: not checked. */
  readonly remoteCertKu: readonly number[] | undefined;
  /** `remote-cert-eku`: an object identifier or OpenSSL's long name. */
  readonly remoteCertEku: string | undefined;
  readonly verifyX509Name: { readonly name: string; readonly type: 'subject' | 'name' | 'name-prefix' } | undefined;
  /** `tls-timeout`. */
  readonly retransmitSeconds: number;
  /** `hand-window`. */
  readonly handshakeWindowSeconds: number;
  /** `tran-window`. */
  readonly transitionWindowSeconds: number;
  readonly renegotiation: RenegotiationOptions;
  /** `push-peer-info`. */
  readonly pushPeerInfo: boolean;
  /** `single-session`: no other session of a peer once one has authenticated. */
  readonly singleSession: boolean;
  /** `tls-crypt-v2-verify`: a program with its arguments, as written. */
  readonly clientKeyVerify: string | undefined;
  /** `tls-crypt-v2-max-age`. */
  readonly clientKeyMaxAgeDays: number | undefined;
}

/** `secret`: one key for all, in place of TLS. */
export interface StaticKeyOptions {
  readonly source: FileSource;
  /** From `secret` or `key-direction`; undefined: the same half both ways. */
  readonly direction: 0 | 1 | undefined;
}

/** Options of the data channel. Names of ciphers are as written: who negotiates normalises and checks them. */
export interface DataChannelOptions {
  /** `data-ciphers`, separated by colons. */
  readonly dataCiphers: string;
  readonly dataCiphersFallback: string | undefined;
  /** `cipher`; matters for the options string and old peers only. */
  readonly cipher: string | undefined;
  /** `auth`, default SHA1. */
  readonly auth: string;
  /** `replay-window`. */
  readonly replayWindow: { readonly packets: number; readonly seconds: number };
  readonly compression: CompressionOptions;
}
