// Stand-ins for types of control-wrap until it has landed; then this file goes.
import type { Instant } from '@openvpnd/sans-io';
import type { Parsed } from '@openvpnd/wire';

export interface ControlWrap {
  readonly name: 'none' | 'tls-auth' | 'tls-crypt' | 'tls-crypt-v2';
  readonly overheadBytes: number;
  readonly wrappedKeyBytes: number;
  wrap(packet: Uint8Array): Uint8Array;
  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array>;
}
export interface ControlWrapFactory {
  readonly name: ControlWrap['name'];
  create(unixSeconds: number, firstPacketId?: number): ControlWrap;
}
