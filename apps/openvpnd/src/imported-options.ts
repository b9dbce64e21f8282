import type { PeerSettings } from '@openvpnd/data-channel';
import type { TunnelPlanInput } from './tunnel-plan.js';

/** What a client makes of the options that its server pushed, together with its own. */
export interface ImportedOptions {
  /** The options that passed the filters and the permissions, as the server wrote them. */
  readonly accepted: readonly string[];
  /** A `pull-filter reject` matched: the connection must not go on. */
  readonly rejected?: string;
  /** Timers and limits of the data channel from now on. */
  readonly peer: PeerSettings;
  /** How the device and the routes are to be. */
  readonly plan: TunnelPlanInput;
}
