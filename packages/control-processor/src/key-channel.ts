import type { TlsEvent } from '@openvpnd/control-tls';
import type { Instant } from '@openvpnd/sans-io';
import type { ControlPacket } from '@openvpnd/wire';

/** What a TLS engine told when its handshake was done. */
export type TlsSecure = Extract<TlsEvent, { readonly type: 'secure' }>;

/** What a {@link KeyChannel} wants or has received. */
export type KeyChannelAction =
  | { readonly type: 'send'; readonly packet: Uint8Array }
  | TlsSecure
  | { readonly type: 'plaintext'; readonly bytes: Uint8Array }
  | { readonly type: 'closed' }
  | Extract<TlsEvent, { readonly type: 'failed' }>;

/** What a key state needs of its control channel; ControlTls of control-tls is one. */
export interface KeyChannel {
  /** Sends the reset, or waits for the peer's. */
  start(now: Instant): readonly KeyChannelAction[];
  handlePacket(now: Instant, packet: ControlPacket): readonly KeyChannelAction[];
  handleTimeout(now: Instant): readonly KeyChannelAction[];
  handleWake(now: Instant): readonly KeyChannelAction[];
  /** One TLS record. After 'secure'. */
  sendMessage(now: Instant, bytes: Uint8Array): readonly KeyChannelAction[];
  /** Whether everything that was handed to `sendMessage` has been sent and acknowledged. */
  allAcked(): boolean;
  nextTimeout(): Instant;
  exportKeyingMaterial(label: string, length: number): Uint8Array;
  close(): void;
}
