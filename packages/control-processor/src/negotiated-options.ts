/** A parameter of `protocol-flags`. */
export type ProtocolFlag = 'cc-exit' | 'tls-ekm' | 'dyn-tls-crypt' | 'aead-epoch';

/** What both ends have agreed on for the data channel. OpenVPN prints it as `Data Channel: cipher …, peer-id: …`. */
export interface NegotiatedOptions {
  /** OpenVPN's name: `AES-256-GCM`. */
  readonly cipher: string;
  /** 0 … 0xfffffe; undefined: P_DATA_V1. */
  readonly peerId: number | undefined;
  readonly keyDerivation: 'tls-ekm' | 'prf';
  /** EXIT on the control channel instead of OCC_EXIT on the data channel. */
  readonly ccExit: boolean;
  /** Server, --compress migrate: what the client was told to do instead of compressing. */
  readonly migratedCompression?: 'stub-v2' | 'lzo-stub';
  /** Renegotiations run under dynamic tls-crypt. */
  readonly dynamicTlsCrypt: boolean;
  /** Epoch data keys, for an AEAD cipher and with a peer id alone. */
  readonly epochKeys: boolean;
}
