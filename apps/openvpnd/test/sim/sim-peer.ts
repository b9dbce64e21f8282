import { EventLoop, type EventLoopCounters, type Tunnel } from '@openvpnd/event-loop';
import { ADDRESS_LINK } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import type { SimLink, SimTun } from '@openvpnd/testkit';
import type { ImportedOptions } from '../../src/client/import-options.js';
import type { RunSignal, SignalInfo } from '../../src/host/signals.js';
import type { TunnelAction } from '../../src/tunnel-action.js';
import { tunnelVector } from '../../src/tunnel-vector.js';
import type { SimWorld } from './sim-world.js';

/** A password to judge. */
export type PasswordQuestion = Extract<TunnelAction, { type: 'verify-password' }>;

/** A client key to judge. */
export type KeyQuestion = Extract<TunnelAction, { type: 'verify-client-key' }>;

/** What a running tunnel is to be told. */
interface EndableTunnel extends Tunnel<TunnelAction> {
  beginExit(now: Instant, signal: RunSignal): readonly TunnelAction[];
  close(): void;
}

/** A tunnel on its event loop: what tunnel-driver.ts is in the daemon, in virtual time and without promises. */
export class SimRun<T extends EndableTunnel> {
  readonly tunnel: T;
  readonly link: SimLink;
  /** That one and further ones. */
  readonly links: readonly SimLink[];
  readonly #world: SimWorld;
  readonly #loop: EventLoop<TunnelAction>;
  readonly #configure: ((action: Extract<TunnelAction, { type: 'configure' }>) => SimTun) | undefined;
  readonly #verifyClientKey: ((request: KeyQuestion) => void) | undefined;
  readonly #verifyPassword: ((request: PasswordQuestion) => void) | undefined;
  readonly #reconfigure: ((imported: ImportedOptions) => void) | undefined;
  readonly #ended: (info: SignalInfo) => void;
  #stopped = false;

  constructor(options: {
    readonly world: SimWorld;
    readonly tunnel: T;
    readonly link: SimLink;
    /** Further links. */
    readonly links?: readonly SimLink[];
    readonly device?: SimTun;
    /** Answers with the device that the tunnel shall have. */
    readonly configure?: (action: Extract<TunnelAction, { type: 'configure' }>) => SimTun;
    /** Judges tls-crypt-v2 client keys, as passwords. */
    readonly verifyClientKey?: (request: KeyQuestion) => void;
    /** Judges passwords; the answer goes to the tunnel in a later turn. */
    readonly verifyPassword?: (request: PasswordQuestion) => void;
    /** The server has changed its options. */
    readonly reconfigure?: (imported: ImportedOptions) => void;
    /** The tunnel raised a signal. Everything is stopped and closed already. */
    readonly ended: (info: SignalInfo) => void;
  }) {
    const { world, tunnel, link } = options;
    this.#world = world;
    this.tunnel = tunnel;
    this.link = link;
    this.#configure = options.configure;
    this.#verifyClientKey = options.verifyClientKey;
    this.#verifyPassword = options.verifyPassword;
    this.#reconfigure = options.reconfigure;
    this.#ended = options.ended;
    this.#loop = new EventLoop<TunnelAction>({
      clock: world.clock.sibling(),
      tunnel,
      vector: tunnelVector(1500),
      ...(options.device && { device: options.device }),
      execute: (action) => this.#execute(action),
      linkLost: (_link, error) => {
        throw error;
      },
      deviceLost: (_device, error) => {
        throw error;
      },
    });
    this.links = [link, ...(options.links ?? [])];
    for (const each of this.links) this.#loop.addLink(each);
  }

  get counters(): Readonly<EventLoopCounters> {
    return this.#loop.counters;
  }

  /** Executes what the tunnel asked for outside of a turn. */
  execute(actions: readonly TunnelAction[]): void {
    for (const action of actions) this.#execute(action);
    this.#loop.wake();
  }

  wake(): void {
    this.#loop.wake();
  }

  /** The system delivers a signal. */
  signal(signal: RunSignal): void {
    this.execute(this.tunnel.beginExit(this.#world.clock.now(), signal));
  }

  /** Power is cut: nobody is told. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#loop.stop();
    this.tunnel.close();
    for (const link of this.links) link.close();
  }

  #execute(action: TunnelAction): void {
    switch (action.type) {
      case 'send-control':
        this.links.find(({ id }) => id === action.to[ADDRESS_LINK])?.send(action.packet, action.to);
        return;
      case 'configure':
        if (this.#configure) this.#loop.setDevice(this.#configure(action));
        return;
      case 'reconfigure':
        this.#reconfigure?.(action.imported);
        return;
      case 'verify-password':
        this.#verifyPassword?.(action);
        return;
      case 'close-link':
        this.#loop.removeLink(action.link);
        this.links.find(({ id }) => id === action.link)?.close();
        return;
      case 'verify-client-key':
        this.#verifyClientKey?.(action);
        return;
      case 'signal':
        this.stop();
        this.#ended(action.info);
        return;
    }
  }
}
