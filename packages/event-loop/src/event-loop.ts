import type { LinkSocket } from '@openvpnd/external-mux';
import type { TunDevice } from '@openvpnd/internal-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_DEVICE,
  FATE_TO_LINK,
  PacketVector,
  type PacketVectorOptions,
  spreadRuns,
} from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';
import { areManySmall, Flood, HOLD_OFF_MICROSECONDS } from './flood.js';
import type { Clock, Tunnel } from './ports.js';

/** Rows of a vector unless told otherwise: 8 gave 84 % of the throughput of 64, and 256 no more than 64. */
export const VECTOR_ROWS = 64;
/**
 * Vectors that one link may fill in a turn. Its peers then wait for the other links, the device and the timer. A vector of ports that gather packets
 * has hundreds of rows, about a millisecond: with four of them the round trip beside a full stream was a fifth longer, and the throughput no higher.
 */
export const LINK_VECTORS_PER_TURN = 1;
/** Vectors that the device may fill in a turn: as a link, so that neither direction starves the other. */
export const DEVICE_VECTORS_PER_TURN = 1;
export interface EventLoopOptions<Action> {
  /** Of this loop alone: it has one timer. */
  readonly clock: Clock;
  readonly tunnel: Tunnel<Action>;
  /** Shape of the three vectors; headroom and tailroom are the sum of what the stages of the tunnel need. */
  readonly vector: Omit<PacketVectorOptions, 'capacity'> & { readonly capacity?: number };
  /** What is different in the vector that links fill, and in the one that the device fills: ports that gather packets need more rows, and an arena. */
  readonly linkVector?: Partial<PacketVectorOptions>;
  readonly deviceVector?: Partial<PacketVectorOptions>;
  readonly device?: TunDevice;
  /** Carries out what the tunnel asks of the host, in order, after the rows of the same batch have left. */
  execute(action: Action): void;
  /** A link is gone. It has been removed from the loop already; closing it is the host's. */
  linkLost(link: LinkSocket, error: Error): void;
  /** The device is gone and removed from the loop. */
  deviceLost(device: TunDevice, error: Error): void;
}

/** What the loop itself has lost or waited for, in rows and times. */
export interface EventLoopCounters {
  /** Rows for a link that is not there (any more). */
  unknownLink: number;
  /** Datagrams of runs that found no row of their own, for a link that sends one a row. */
  noRowForDatagram: number;
  /** Rows for the device while there was none. */
  noDevice: number;
  /** Rows of a timeout (pings) that a full link had not taken by the next one. */
  lateTimeoutRows: number;
  /** Times that a full link made reading stop. */
  stalls: number;
  /** Times that the device was held off. */
  holdOffs: number;
}

interface OpenLink {
  readonly link: LinkSocket;
  /** It refused a batch and has not said that it is writable. */
  full: boolean;
}

/**
 * The one place in a process that waits: it reads vectors from links and device, hands them to the tunnel, lets them leave, and keeps the
 * tunnel's single timer. OpenVPN: the event loop of tunnel_point_to_point() and tunnel_server().
 *
 * Back-pressure: what a full link refuses stays in its vector, and nothing is read into that vector until the link has taken it. The
 * system's queues hold what comes meanwhile. Nothing is allocated for a packet.
 *
 * It opens and closes nothing: links and device belong to the host. It begins with a turn of its own, as after {@link wake}.
 */
export class EventLoop<Action> {
  readonly #clock: Clock;
  readonly #tunnel: Tunnel<Action>;
  readonly #host: EventLoopOptions<Action>;
  readonly #open: Set<OpenLink> = new Set();
  /** By each id that is a link's. */
  readonly #links: Map<number, OpenLink> = new Map();
  readonly #counters: EventLoopCounters = {
    unknownLink: 0,
    noRowForDatagram: 0,
    noDevice: 0,
    lateTimeoutRows: 0,
    stalls: 0,
    holdOffs: 0,
  };
  /** From the links; from the device; from timeouts. */
  readonly #rx: PacketVector;
  readonly #tx: PacketVector;
  readonly #out: PacketVector;
  #rxWaits = false;
  #txWaits = false;
  #outWaits = false;
  #device: TunDevice | undefined;
  #armedAt: Instant = NEVER;
  readonly #flood: Flood = new Flood();
  #busy = false;
  #stopped = false;
  readonly #fireTimer: () => void;
  readonly #fireWake: () => void;

  constructor(options: EventLoopOptions<Action>) {
    const vector = { capacity: VECTOR_ROWS, ...options.vector };
    this.#host = options;
    this.#clock = options.clock;
    this.#tunnel = options.tunnel;
    this.#rx = new PacketVector({ ...vector, ...options.linkVector });
    this.#tx = new PacketVector({ ...vector, ...options.deviceVector });
    this.#out = new PacketVector(vector);
    this.#fireTimer = () => {
      this.#armedAt = NEVER;
      this.#timeoutTurn();
    };
    this.#fireWake = () => this.#timeoutTurn();
    if (options.device !== undefined) this.setDevice(options.device);
    this.wake();
  }

  /** What was lost or waited for since the start. */
  get counters(): Readonly<EventLoopCounters> {
    return this.#counters;
  }

  /**
   * Starts to read from a link, and sends the rows that name it.
   *
   * @throws RangeError when a link with such an id is there
   */
  addLink(link: LinkSocket): void {
    for (const id of idsOf(link)) {
      if (this.#links.has(id)) throw new RangeError(`there is a link ${id} already`);
    }
    if (this.#stopped) return;
    const open: OpenLink = { link, full: false };
    this.#open.add(open);
    for (const id of idsOf(link)) this.#links.set(id, open);
    setPaused(link, this.#rxWaits);
    link.watch({
      readable: () => this.#linkTurn(open),
      writable: () => {
        open.full = false;
        this.#flush();
      },
      failed: (error) => {
        if (!this.#open.has(open)) return;
        this.removeLink(link.id);
        this.#host.linkLost(link, error);
      },
    });
  }

  /** Forgets a link, which is left open and paused; rows that wait for it are lost. Unknown ids are no error. */
  removeLink(id: number): void {
    const open = this.#links.get(id);
    if (open === undefined) return;
    this.#open.delete(open);
    for (const own of idsOf(open.link)) this.#links.delete(own);
    open.link.watch(DEAF);
    open.link.pause();
    this.#flush();
  }

  /** Replaces the device, or takes it away. The old one is left open and paused. */
  setDevice(device: TunDevice | undefined): void {
    this.#device?.watch(DEAF);
    this.#device?.pause();
    this.#device = this.#stopped ? undefined : device;
    if (device === undefined || this.#stopped) return;
    setPaused(device, this.#txWaits);
    device.watch({
      readable: () => this.#deviceTurn(device),
      failed: (error) => {
        if (this.#device !== device) return;
        this.setDevice(undefined);
        this.#host.deviceLost(device, error);
      },
    });
  }

  /** Asks for a turn in which the tunnel's timeout is handled, soon; for news that came from outside (a TLS engine, a verdict). Coalesced. */
  wake(): void {
    if (!this.#stopped) this.#clock.soon(this.#fireWake);
  }

  /** Ends it: no method of the tunnel or the host is called any more. Links and device stay open, paused. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#clock.arm(NEVER, this.#fireTimer);
    for (const { link } of this.#open) {
      link.watch(DEAF);
      link.pause();
    }
    this.#open.clear();
    this.#links.clear();
    this.#device?.watch(DEAF);
    this.#device?.pause();
    this.#device = undefined;
  }

  #linkTurn(open: OpenLink): void {
    // Level-triggered: whoever is turned away here is heard again.
    if (this.#busy || this.#rxWaits) return;
    this.#busy = true;
    try {
      const now = this.#clock.now();
      const rx = this.#rx;
      for (let vectors = 0; vectors < LINK_VECTORS_PER_TURN; vectors += 1) {
        if (!this.#open.has(open)) break;
        rx.reset();
        if (open.link.receiveBatch(rx) === 0) break;
        this.#flood.end();
        const drained = rx.room > 0;
        const actions = this.#tunnel.handleLinkBatch(now, rx);
        this.#rxWaits = !this.#leave(rx);
        if (this.#rxWaits) this.#pauseLinks();
        this.#executeAll(actions);
        if (drained || this.#rxWaits) break;
      }
    } finally {
      this.#busy = false;
    }
    this.#arm();
  }

  #deviceTurn(device: TunDevice): void {
    if (this.#busy || this.#txWaits) return;
    this.#busy = true;
    try {
      let now = this.#clock.now();
      if (this.#flood.goesOnAt(now) && device.holdOff !== undefined) {
        this.#counters.holdOffs += 1;
        device.holdOff(HOLD_OFF_MICROSECONDS);
        now = this.#clock.now();
      }
      this.#flood.end();
      const tx = this.#tx;
      for (let vectors = 0; vectors < DEVICE_VECTORS_PER_TURN; vectors += 1) {
        if (this.#device !== device) break;
        tx.reset();
        if (device.readBatch(tx) === 0) break;
        const drained = tx.room > 0;
        const floods = drained && areManySmall(tx);
        const actions = this.#tunnel.handleDeviceBatch(now, tx);
        this.#txWaits = !this.#leave(tx);
        if (this.#txWaits) {
          this.#counters.stalls += 1;
          this.#device?.pause();
        }
        this.#executeAll(actions);
        if (floods && !this.#txWaits) this.#flood.seenAt(this.#clock.now());
        if (drained || this.#txWaits) break;
      }
    } finally {
      this.#busy = false;
    }
    this.#arm();
  }

  #timeoutTurn(): void {
    if (this.#stopped) return;
    // Somebody runs the clock from within a turn.
    if (this.#busy) {
      this.wake();
      return;
    }
    this.#busy = true;
    try {
      const out = this.#out;
      // Timers and control cannot wait for a full link; the few rows that do are pings, and a full link needs none.
      if (this.#outWaits) this.#counters.lateTimeoutRows += countRows(out, FATE_TO_LINK);
      out.reset();
      const actions = this.#tunnel.handleTimeout(this.#clock.now(), out);
      this.#outWaits = !this.#leave(out);
      this.#executeAll(actions);
    } finally {
      this.#busy = false;
    }
    this.#arm();
  }

  /** Lets a vector leave: first to the device, then through the links. False while a full link keeps rows in it. */
  #leave(vector: PacketVector): boolean {
    const { count, fate } = vector;
    for (let row = 0; row < count; row += 1) {
      if (fate[row] !== FATE_TO_DEVICE) continue;
      if (this.#device !== undefined) {
        this.#device.writeBatch(vector);
        break;
      }
      fate[row] = FATE_DROPPED;
      this.#counters.noDevice += 1;
    }
    return this.#send(vector);
  }

  #send(vector: PacketVector): boolean {
    const { fate, addresses } = vector;
    let all = true;
    // Rows may become more on the way.
    for (let row = 0; row < vector.count; row += 1) {
      if (fate[row] !== FATE_TO_LINK) continue;
      const open = this.#links.get(addresses[row * ADDRESS_WORDS + ADDRESS_LINK]);
      // One call sends every row of the link: the next rows that are met belong to others, or to a full one.
      if (open !== undefined && !open.full) {
        if (open.link.sendsRuns !== true) this.#counters.noRowForDatagram += spreadRuns(vector, open.link.id);
        open.full = !open.link.sendBatch(vector);
      }
      if (fate[row] !== FATE_TO_LINK) continue;
      if (open?.full === true) {
        all = false;
        continue;
      }
      fate[row] = FATE_DROPPED;
      this.#counters.unknownLink += 1;
    }
    return all;
  }

  /** Offers again what waits, and reads on where nothing waits any more. */
  #flush(): void {
    if (this.#stopped) return;
    if (this.#outWaits) this.#outWaits = !this.#send(this.#out);
    if (this.#rxWaits && this.#send(this.#rx)) {
      this.#rxWaits = false;
      for (const { link } of this.#open) link.resume();
    }
    if (this.#txWaits && this.#send(this.#tx)) {
      this.#txWaits = false;
      this.#device?.resume();
    }
  }

  #pauseLinks(): void {
    this.#counters.stalls += 1;
    for (const { link } of this.#open) link.pause();
  }

  #executeAll(actions: readonly Action[]): void {
    for (let index = 0; index < actions.length; index += 1) {
      if (this.#stopped) return;
      this.#host.execute(actions[index]);
    }
  }

  #arm(): void {
    if (this.#stopped) return;
    const at = this.#tunnel.nextTimeout();
    if (at === this.#armedAt) return;
    this.#armedAt = at;
    this.#clock.arm(at, this.#fireTimer);
  }
}

/** The ids under which a link's rows go. */
function idsOf({ id, idCount = 1 }: LinkSocket): readonly number[] {
  return Array.from({ length: idCount }, (_, index) => id + index);
}

/** The watcher of what the loop has let go. */
const DEAF = { readable(): void {}, writable(): void {}, failed(): void {} };

/** Another loop may have left it paused. */
function setPaused(port: LinkSocket | TunDevice, paused: boolean): void {
  if (paused) port.pause();
  else port.resume();
}

function countRows(vector: PacketVector, fate: number): number {
  let rows = 0;
  for (let row = 0; row < vector.count; row += 1) if (vector.fate[row] === fate) rows += 1;
  return rows;
}
