// Stand-ins for types of keygen and control-wrap until those packages have landed; then this file goes.
import type { Instant, Secret } from '@openvpnd/sans-io';
import type { Parsed } from '@openvpnd/wire';

export interface DirectionalKey {
  readonly cipherKey: Secret;
  readonly implicitIv: Secret;
  readonly hmacKey: Secret;
}
export interface DataChannelKeys {
  readonly cipher: {
    readonly name: string;
    readonly keyBytes: number;
    readonly kind: 'aead' | 'cbc' | 'none';
    readonly blockBytes: number;
  };
  readonly send: DirectionalKey;
  readonly receive: DirectionalKey;
}
export interface ControlWrap {
  readonly name: string;
  readonly overheadBytes: number;
  wrap(packet: Uint8Array): Uint8Array;
  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array>;
}
export interface ControlWrapFactory {
  create(unixSeconds: number): ControlWrap;
}
