// Stand-ins for types of wire, keygen and control-wrap until those packages have landed; then this file goes.
import type { Instant, Secret } from '@openvpnd/sans-io';

export type PeerInfo = ReadonlyMap<string, string>;
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };
export type AuthFailure =
  | { readonly kind: 'plain'; readonly reason: string }
  | { readonly kind: 'session'; readonly reason: string; readonly text: string }
  | {
      readonly kind: 'challenge';
      readonly reason: string;
      readonly challenge: {
        readonly flags: readonly string[];
        readonly stateId: string;
        readonly username: string;
        readonly text: string;
      };
    }
  | {
      readonly kind: 'temporary';
      readonly reason: string;
      readonly backoffSeconds: number | undefined;
      readonly advance: 'no' | 'addr' | 'remote';
      readonly text: string;
    };
type PushContinuation = 'single' | 'more' | 'last';
export type ControlMessage =
  | { readonly type: 'AUTH_FAILED'; readonly failure: AuthFailure }
  | { readonly type: 'PUSH_REQUEST' }
  | { readonly type: 'PUSH_REPLY'; readonly options: readonly string[]; readonly continuation: PushContinuation }
  | { readonly type: 'PUSH_UPDATE'; readonly options: readonly string[]; readonly continuation: PushContinuation }
  | { readonly type: 'PUSH_INVALID'; readonly text: string }
  | { readonly type: 'RESTART'; readonly keepPassword: boolean; readonly nextServer: boolean; readonly text: string }
  | { readonly type: 'HALT'; readonly text: string }
  | { readonly type: 'INFO'; readonly text: string }
  | { readonly type: 'INFO_PRE'; readonly text: string }
  | { readonly type: 'CR_RESPONSE'; readonly response: string }
  | { readonly type: 'AUTH_PENDING'; readonly timeoutSeconds: number | undefined }
  | { readonly type: 'EXIT' }
  | { readonly type: 'unknown'; readonly text: string };
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
