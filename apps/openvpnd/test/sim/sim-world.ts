import type { AeadBackend, AeadLimits, FlowOffload } from '@openvpnd/data-channel';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import type { ChangeCount } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { type LinkConditions, SeededRandom, SimNetwork, type SimTun, VirtualClock } from '@openvpnd/testkit';
import { SimClient, type SimClientOptions } from './sim-client.js';
import { SimJournal } from './sim-journal.js';
import './sim-scale.js';
import { SimServer, type SimServerOptions } from './sim-server.js';
import { Traffic } from './traffic.js';

/** Simulations begin in 2027. */
const EPOCH_SECONDS = 1_800_000_000;

/** A server, its clients, and everything around them: the same seed gives the same run. */
export class SimWorld {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly journal: SimJournal = new SimJournal(this.clock);
  readonly traffic: Traffic = new Traffic(this.clock);
  readonly backend: AeadBackend = nodeAeadBackend();
  /** Of everybody's keys; undefined: the real ones. */
  readonly aeadLimits: AeadLimits | undefined;
  /** What carries the packets of an end that come alone, by its name; undefined: nothing. */
  readonly flows: ((end: string, changes: ChangeCount) => FlowOffload) | undefined;

  #hosts = 0;

  constructor(options: {
    readonly seed: number;
    readonly conditions?: Partial<LinkConditions>;
    readonly aeadLimits?: AeadLimits;
    readonly flows?: SimWorld['flows'];
  }) {
    this.aeadLimits = options.aeadLimits;
    this.flows = options.flows;
    this.random = new SeededRandom(options.seed);
    const random = this.random.fork('network');
    this.network = new SimNetwork({ clock: this.clock, random, conditions: options.conditions });
    this.network.tap((packet) => this.journal.addPacket(packet));
  }

  /** Starts a server. */
  server(options: SimServerOptions = {}): SimServer {
    const server = new SimServer(this, options);
    server.start();
    return server;
  }

  /** Starts a client. */
  client(name: string, options: SimClientOptions = {}): SimClient {
    const client = new SimClient(this, name, options);
    client.start();
    return client;
  }

  /** The device of a client. */
  hostDevice(name: string): SimTun {
    return this.traffic.host(name).device;
  }

  /** Starts clients `client0`, `client1`, … */
  clients(count: number, options: SimClientOptions = {}): SimClient[] {
    return Array.from({ length: count }, (_, index) => this.client(`client${index}`, options));
  }

  readonly unixTime = (now: Instant): number => EPOCH_SECONDS + Math.floor(now / 1000);

  /** An outer address that nobody else has. */
  nextHost(): string {
    this.#hosts += 1;
    return `198.51.${100 + (this.#hosts >> 8)}.${this.#hosts & 0xff}`;
  }

  advanceSeconds(seconds: number): void {
    this.clock.advanceBy(seconds * 1000);
  }

  /** Lets the flows go on for that long, then ends them and waits for what is under way. */
  finishTraffic(seconds: number): void {
    this.advanceSeconds(seconds);
    this.traffic.stop();
    this.advanceSeconds(1);
  }

  /** Lets time pass until `condition` holds; throws with the last events when it does not within that time. */
  until(what: string, condition: () => boolean, seconds: number): void {
    if (this.clock.advanceUntil(condition, this.clock.now() + seconds * 1000)) return;
    throw new Error(`not ${what} within ${seconds} s\n${this.journal.tail()}`);
  }
}
