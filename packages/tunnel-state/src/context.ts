import type { Instant } from '@openvpnd/sans-io';

/** Whether a context has a running tunnel; if so, with its modules. */
export type ContextState<Modules> =
  | { readonly name: 'closed' }
  | { readonly name: 'open'; readonly since: Instant; readonly modules: Modules };

/**
 * What a client holds: its options for as long as the process lives, and the modules of its one tunnel for as long as that lives. A restart closes the instance and
 * opens another in the same context. OpenVPN: struct context with mode CM_P2P, init_instance(), close_instance().
 */
export class Context<Options, Modules> {
  readonly mode = 'CM_P2P';
  readonly options: Options;
  /** How often an instance was opened. */
  instances = 0;
  #state: ContextState<Modules> = { name: 'closed' };

  /** @param content held, never looked into */
  constructor(content: { readonly options: Options }) {
    this.options = content.options;
  }

  get state(): ContextState<Modules> {
    return this.#state;
  }

  /**
   * The tunnel begins.
   *
   * @throws Error when one is open already: whoever restarts has to close it first
   */
  openInstance(now: Instant, modules: Modules): void {
    if (this.#state.name === 'open') throw new Error('the context has a tunnel already');
    this.#state = { name: 'open', since: now, modules };
    this.instances += 1;
  }

  /** The tunnel ends. Returns its modules, for the caller to free; undefined when there was none. */
  closeInstance(): Modules | undefined {
    const state = this.#state;
    this.#state = { name: 'closed' };
    return state.name === 'open' ? state.modules : undefined;
  }
}
