import { EventLoop, type Tunnel } from '@openvpnd/event-loop';
import { LinkError, type LinkSocket } from '@openvpnd/external-mux';
import type { TunDevice } from '@openvpnd/internal-mux';
import { ADDRESS_LINK } from '@openvpnd/memory';
import { DEVICE_VECTOR, LINK_VECTOR } from '@openvpnd/packet-io';
import type { Instant } from '@openvpnd/sans-io';
import type { ImportedOptions } from './client/import-options.js';
import { DEVICE_LOST, type RunSignal, type SignalInfo } from './host/signals.js';
import type { Run } from './run.js';
import type { TunnelAction } from './tunnel-action.js';
import { tunnelVector } from './tunnel-vector.js';

/** A tunnel that can be asked to end in order. */
export interface EndableTunnel extends Tunnel<TunnelAction> {
  beginExit(now: Instant, signal: RunSignal): readonly TunnelAction[];
  /** A stream, or what carries datagrams to one peer, has ended; it is closed already. */
  handleLinkLost(now: Instant, link: number, error: Error): readonly TunnelAction[];
}

export interface TunnelDriverOptions {
  readonly tunnel: EndableTunnel;
  /** Absent: links come later, with `addLink`. */
  readonly link?: LinkSocket;
  /** The largest that the device can get. Decides how large the rows of the vectors are. */
  readonly tunMtu: number;
  /** Judge a client key. A rejection ends the run with that error. */
  readonly verifyClientKey?: (action: Extract<TunnelAction, { type: 'verify-client-key' }>) => Promise<void>;
  /** Judge a password. A rejection ends the run with that error. */
  readonly verifyPassword?: (action: Extract<TunnelAction, { type: 'verify-password' }>) => Promise<void>;
  /** A client's options have arrived: set up the interface. A rejection ends the run with that error. */
  readonly configure?: (imported: ImportedOptions) => Promise<void>;
  /** They have changed while the tunnel stands. A rejection ends the run with that error. */
  readonly reconfigure?: (imported: ImportedOptions) => Promise<void>;
  /** The peer of a tunnel with a static key is there. */
  readonly established?: () => Promise<void>;
}

/** The part of a run that a driver needs. */
export type DriverRun = Pick<Run, 'clock' | 'inbox' | 'log'>;

/**
 * Runs a tunnel on the event loop until a signal ends it, whether the system delivers it or the tunnel raises it, and executes what the
 * tunnel asks for meanwhile.
 */
export class TunnelDriver {
  readonly #run: DriverRun;
  readonly #options: TunnelDriverOptions;
  readonly #loop: EventLoop<TunnelAction>;
  #stopped = false;
  /** By each of their ids. */
  readonly #links: Map<number, LinkSocket> = new Map();
  #end: (info: SignalInfo) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  /** Why the tunnel has ended. Rejects when the interface cannot be set up. */
  readonly ended: Promise<SignalInfo> = new Promise((resolve, reject) => {
    this.#end = resolve;
    this.#fail = reject;
  });

  constructor(run: DriverRun, options: TunnelDriverOptions) {
    this.#run = run;
    this.#options = options;
    this.#loop = new EventLoop<TunnelAction>({
      clock: run.clock,
      tunnel: options.tunnel,
      vector: tunnelVector(options.tunMtu),
      linkVector: LINK_VECTOR,
      deviceVector: DEVICE_VECTOR,
      execute: (action) => this.#execute(action),
      linkLost: (link, error) => this.#handleLinkLost(link, error),
      deviceLost: (_device, error) => {
        run.log.say(1, error.message);
        this.#end({ signal: 'SIGUSR1', source: 'soft', text: DEVICE_LOST });
      },
    });
    if (options.link !== undefined) this.addLink(options.link);
    run.inbox.listen(() => this.#handleSignal());
  }

  /** Reads from this link too; it is the driver's from now on, and closed when it ends. */
  addLink(link: LinkSocket): void {
    for (let index = 0; index < (link.idCount ?? 1); index += 1) this.#links.set(link.id + index, link);
    this.#loop.addLink(link);
  }

  /** Those that are open. */
  links(): readonly LinkSocket[] {
    return [...this.#links.values()];
  }

  /** Gives the loop the device, as soon as it is open. */
  setDevice(device: TunDevice): void {
    this.#loop.setDevice(device);
  }

  /** Executes what a tunnel asked for outside of the loop's turns, and looks at its deadlines anew. */
  execute(actions: readonly TunnelAction[]): void {
    for (const action of actions) this.#execute(action);
    this.#loop.wake();
  }

  /** Whether {@link stop} was called; what takes its time has to look. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Asks for a turn. */
  wake(): void {
    this.#loop.wake();
  }

  /** Stops the loop and closes all links. Device and tunnel are the caller's. */
  stop(): void {
    this.#stopped = true;
    this.#run.inbox.listen(undefined);
    this.#loop.stop();
    for (const link of new Set(this.#links.values())) link.close();
    this.#links.clear();
  }

  #execute(action: TunnelAction): void {
    switch (action.type) {
      case 'send-control':
        this.#links.get(action.to[ADDRESS_LINK])?.send(action.packet, action.to);
        return;
      case 'close-link':
        this.#closeLink(action.link);
        return;
      case 'configure':
        this.#options.configure?.(action.imported).catch(this.#fail);
        return;
      case 'reconfigure':
        this.#options.reconfigure?.(action.imported).catch(this.#fail);
        return;
      case 'established':
        this.#options.established?.().catch(this.#fail);
        return;
      case 'verify-client-key':
        this.#options.verifyClientKey?.(action).catch(this.#fail);
        return;
      case 'verify-password':
        this.#options.verifyPassword?.(action).catch(this.#fail);
        return;
      case 'signal':
        this.#end(action.info);
        return;
    }
  }

  #closeLink(id: number): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    for (let index = 0; index < (link.idCount ?? 1); index += 1) this.#links.delete(link.id + index);
    this.#loop.removeLink(id);
    link.close();
  }

  #handleLinkLost(link: LinkSocket, error: Error): void {
    if (link.protocol === 'udp' && !(error instanceof LinkError && error.code === 'ERR_LINK_RESET')) {
      this.#fail(error);
      return;
    }
    this.#closeLink(link.id);
    this.execute(this.#options.tunnel.handleLinkLost(this.#run.clock.now(), link.id, error));
  }

  #handleSignal(): void {
    const info = this.#run.inbox.take();
    if (info === undefined) return;
    if (info.source === 'hard') this.execute(this.#options.tunnel.beginExit(this.#run.clock.now(), info.signal));
    else this.#end(info);
  }
}
