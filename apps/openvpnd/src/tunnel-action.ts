import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import type { LinkAddress } from '@openvpnd/memory';
import type { ImportedOptions } from './client/import-options.js';
import type { PasswordRequest } from './host/password-program.js';
import type { SignalInfo } from './host/signals.js';

/** What a tunnel asks of its host, in order. */
export type TunnelAction =
  /** A control packet for a peer; owned by the taker. */
  | { readonly type: 'send-control'; readonly packet: Uint8Array; readonly to: LinkAddress }
  /** A stream is done with, from our side or the other: close it. Unknown ids are no error. */
  | { readonly type: 'close-link'; readonly link: number }
  /** Client: the server has sent its options, or there is none to ask. Open the device, set addresses and routes. */
  | { readonly type: 'configure'; readonly imported: ImportedOptions }
  /** Client: the server has changed its options. Make addresses and routes agree with them; the device stays. */
  | { readonly type: 'reconfigure'; readonly imported: ImportedOptions }
  /** Static key: the peer has shown itself. The device was asked for before: without TLS nothing but traffic shows that a peer is there. */
  | { readonly type: 'established' }
  /** Server: judge a client key by its metadata, and answer with `handleClientKeyVerdict`. */
  | {
      readonly type: 'verify-client-key';
      readonly requestId: number;
      readonly metadata: ClientKeyMetadata;
      /** How log lines call the client. */
      readonly describe: () => string;
    }
  /**
   * Server: judge a user name and password, and answer with `handlePasswordVerdict`; `handlePasswordPending` tells the client to do something
   * meanwhile. `environment` is for the program, `isOpen` tells whether anybody still waits.
   */
  | ({ readonly type: 'verify-password'; readonly questionId: number } & PasswordRequest)
  /** The tunnel is at its end. The host tears down and restarts or exits as the signal says. */
  | { readonly type: 'signal'; readonly info: SignalInfo };

export const NO_ACTIONS: readonly TunnelAction[] = [];
