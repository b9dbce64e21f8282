import type { Clock } from '@openvpnd/event-loop';
import type { TunnelDriver } from '../tunnel-driver.js';
import type { PushUpdateResult, PushUpdateTarget } from './push-updates.js';
import type { ClientStatus } from './server-status.js';
import type { ServerTunnel } from './server-tunnel.js';

/** A server at work, for the program around it. After its end every call says so or does nothing. */
export class RunningServer {
  readonly #tunnel: ServerTunnel;
  readonly #driver: TunnelDriver;
  readonly #clock: Clock;

  constructor(parts: { readonly tunnel: ServerTunnel; readonly driver: TunnelDriver; readonly clock: Clock }) {
    this.#tunnel = parts.tunnel;
    this.#driver = parts.driver;
    this.#clock = parts.clock;
  }

  /** Its clients now, as `--status` tells of them. */
  clients(): readonly ClientStatus[] {
    return this.#tunnel.status();
  }

  /** Changes what clients were pushed, while their tunnels stand; see {@link ServerTunnel.pushUpdate}. */
  pushUpdate(target: PushUpdateTarget, options: readonly string[]): PushUpdateResult {
    const { result, actions } = this.#tunnel.pushUpdate(this.#clock.now(), target, options);
    this.#driver.execute(actions);
    return result;
  }
}
