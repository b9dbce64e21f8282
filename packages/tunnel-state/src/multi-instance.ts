import type { Instant } from '@openvpnd/sans-io';

/** How far a client has come. `half-open`: it has answered the cookie and no more. `established`: it is authenticated and has keys. */
export type InstanceState = 'half-open' | 'established';

/**
 * What a server holds for one client: who and where it is, and its modules, which are never looked into. Made and kept by a MultiContext, which alone changes it.
 * OpenVPN: struct multi_instance with the context inside, mode CM_CHILD_UDP or CM_CHILD_TCP.
 */
export interface MultiInstance<Modules> {
  readonly mode: 'CM_CHILD_UDP' | 'CM_CHILD_TCP';
  /** Its number below the application, and its peer id on the wire. */
  readonly slot: number;
  /** When its slot was allocated. */
  readonly since: Instant;
  readonly modules: Modules;
  /** The words of its transport address; changes when it floats. Borrowed: do not write. */
  readonly address: Uint32Array;
  /** Known once it is authenticated. */
  readonly commonName: string | undefined;
  readonly state: InstanceState;
}
