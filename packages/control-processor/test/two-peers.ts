import { plainWraps } from '@openvpnd/control-wrap';
import type { DataChannelKeys } from '@openvpnd/keygen';
import type { Instant } from '@openvpnd/sans-io';
import {
  FakeTlsFactory,
  type FakeTlsOptions,
  fakeCertificate,
  type LinkConditions,
  PERFECT,
  SeededRandom,
  VirtualClock,
} from '@openvpnd/testkit';
import {
  type ControlAction,
  type ControlSettings,
  expectedOptionsString,
  type OptionsStringInput,
  optionsString,
  ownIvProto,
  ownPeerInfo,
  readPulledOptions,
  TlsMulti,
  type TlsMultiOptions,
} from '../src/index.js';
import { cryptWraps } from './wraps.js';

const STRING: OptionsStringInput = {
  role: 'client',
  pointToPoint: false,
  deviceType: 'tun',
  tunMtu: 1500,
  protocol: 'udp',
  dataCiphers: ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'],
  auth: 'SHA1',
  digestBytes: 20,
};

/** Settings of a stock pair. */
export function settingsOf(
  role: 'client' | 'server',
  mode: 'p2mp' | 'p2p',
  changes: Partial<ControlSettings> = {},
): ControlSettings {
  const input: OptionsStringInput = { ...STRING, role, pointToPoint: mode === 'p2p' };
  const dataCiphers = changes.dataCiphers ?? STRING.dataCiphers;
  const ivProto = changes.ivProto ?? ownIvProto(mode, { exporter: true });
  const peerInfo = ownPeerInfo({
    level: mode === 'p2p' ? 1 : role === 'client' ? 2 : 0,
    version: '2.6.14',
    platform: 'linux',
    tunMtuMax: 1600,
    dataCiphers,
    ivProto,
    compression: 'none',
  });
  return {
    handWindowMs: 60_000,
    tranWindowMs: 3_600_000,
    renegMs: 3_600_000,
    maxPacketBytes: 1250,
    optionsString: optionsString(input),
    expectedOptionsString: expectedOptionsString(input),
    dataCiphers,
    ...(peerInfo !== undefined && { peerInfo }),
    ivProto,
    pull: role === 'client' && mode === 'p2mp',
    peerPolicy: { requireCertificate: true },
    ...(role === 'server' && { peerId: 5 }),
    tunMtu: 1500,
    scheduledExitMs: 5000,
    ...changes,
  };
}

/** A data packet of the simulation: sealed means that it names the key it was sealed with. */
interface DataPacket {
  readonly keyId: number;
  readonly secret: string;
}

export interface PeerChanges {
  readonly settings?: Partial<ControlSettings>;
  readonly tls?: FakeTlsOptions;
  readonly multi?: Partial<TlsMultiOptions>;
  /** Answers verify, push-request and pull by itself; default true. */
  readonly automatic?: boolean;
}

/** One end: a TlsMulti, its timer, and a data channel that only remembers keys. */
export class Peer {
  readonly role: 'client' | 'server';
  readonly actions: ControlAction[] = [];
  readonly events: { readonly event: string; readonly fields: Record<string, unknown> }[] = [];
  readonly keys: Map<number, { readonly keys: DataChannelKeys; readonly peerId: number | undefined }> = new Map();
  sendingWith: number | undefined;
  /** Data packets that arrived and could not be opened. */
  undecipherable = 0;
  received = 0;
  sent = 0;
  push: readonly string[] = ['route 10.0.0.0 255.0.0.0', 'ifconfig 10.8.0.2 255.255.255.0'];
  automatic: boolean;
  /** Whether actions and log events are kept. */
  remembers = true;
  multi: TlsMulti;
  readonly #world: World;
  readonly #clock: ReturnType<VirtualClock['sibling']>;
  readonly #changes: PeerChanges;

  constructor(world: World, role: 'client' | 'server', changes: PeerChanges) {
    this.#world = world;
    this.role = role;
    this.#clock = world.clock.sibling();
    this.#changes = changes;
    this.automatic = changes.automatic ?? true;
    this.multi = this.make();
  }

  /** As if the process had been killed and started again. */
  restart(): void {
    this.multi.close();
    this.keys.clear();
    this.sendingWith = undefined;
    this.multi = this.make();
  }

  make(changes: Partial<TlsMultiOptions> = {}): TlsMulti {
    const { world, record } = { world: this.#world, record: this.#record };
    const mode = this.#changes.multi?.mode ?? 'p2mp';
    const name = `${this.role}-${world.makings++}`;
    return new TlsMulti({
      role: this.role,
      mode,
      settings: settingsOf(this.role, mode, this.#changes.settings),
      engines: new FakeTlsFactory({
        seed: world.random.fork(name).uint32(),
        certificates: [fakeCertificate(this.role === 'client' ? 'client1' : 'server')],
        ...this.#changes.tls,
      }),
      wraps: world.wrapped ? cryptWraps(this.role) : plainWraps(),
      random: world.random.fork(`random-${name}`),
      unixTime: (now) => Math.floor(now / 1000),
      wake: () => this.#clock.soon(() => this.run(this.multi.handleWake(this.#world.clock.now()))),
      log: {
        error: (event, fields) => record(event, fields),
        warn: (event, fields) => record(event, fields),
        info: (event, fields) => record(event, fields),
        debug: (event, fields) => record(event, fields),
      },
      ...this.#changes.multi,
      ...changes,
    });
  }

  readonly #record = (event: string, fields: Record<string, unknown> = {}): void => {
    if (this.remembers && this.events.length < 10_000) this.events.push({ event, fields });
  };

  get now(): Instant {
    return this.#world.clock.now();
  }

  run(actions: readonly ControlAction[]): void {
    for (const action of actions) {
      if (action.type === 'send') this.#world.carry(this, action.packet);
      else {
        if (this.remembers && this.actions.length < 10_000) this.actions.push(action);
        this.#execute(action);
      }
    }
    this.#clock.arm(this.multi.nextTimeout(), () => this.run(this.multi.handleTimeout(this.now)));
  }

  #execute(action: ControlAction): void {
    switch (action.type) {
      case 'install-keys':
        this.keys.set(action.keyId, { keys: action.keys, peerId: action.peerId });
        break;
      case 'send-with':
        if (!this.keys.has(action.keyId)) throw new Error(`send-with ${action.keyId}, which is not installed`);
        this.sendingWith = action.keyId;
        break;
      case 'retire-keys':
        if (!this.keys.delete(action.keyId)) throw new Error(`retire-keys ${action.keyId}, which is not installed`);
        if (this.sendingWith === action.keyId) this.sendingWith = undefined;
        break;
      case 'verify':
        if (this.automatic) this.soon(() => this.multi.handleVerdict(this.now, action.requestId, { type: 'accept' }));
        break;
      case 'push-request':
        if (this.automatic) this.soon(() => this.multi.sendPushReply(this.now, this.push));
        break;
      case 'pull':
        if (this.automatic && action.first)
          this.soon(() => this.multi.completePull(this.now, readPulledOptions(action.options)));
        break;
      default:
        break;
    }
  }

  /** Runs an input in a later turn, as an owner would. */
  soon(input: () => readonly ControlAction[]): void {
    this.#clock.soon(() => this.run(input()));
  }

  receive(packet: Uint8Array): void {
    this.run(this.multi.handlePacket(this.now, packet));
  }

  /** Sends a data packet with the key that was chosen. */
  sendData(): void {
    const entry = this.sendingWith === undefined ? undefined : this.keys.get(this.sendingWith);
    if (!entry || this.sendingWith === undefined) return;
    this.sent += 1;
    this.#world.carryData(this, { keyId: this.sendingWith, secret: hex(entry.keys.send.cipherKey.bytes) });
  }

  receiveData(packet: DataPacket): void {
    const entry = this.keys.get(packet.keyId);
    if (entry && hex(entry.keys.receive.cipherKey.bytes) === packet.secret) this.received += 1;
    else this.undecipherable += 1;
  }

  all<T extends ControlAction['type']>(type: T): Extract<ControlAction, { type: T }>[] {
    return this.actions.filter((action) => action.type === type) as Extract<ControlAction, { type: T }>[];
  }

  logged(event: string): Record<string, unknown>[] {
    return this.events.filter((entry) => entry.event === event).map(({ fields }) => fields);
  }
}

/** Two peers on a path that loses, doubles, delays and corrupts, in virtual time. */
export class World {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: SeededRandom;
  readonly client: Peer;
  readonly server: Peer;
  conditions: LinkConditions;
  makings = 0;
  /** Whether tls-crypt is on: needed where bits get flipped. */
  readonly wrapped: boolean;
  /** Sees every control packet; what it answers false for is lost. */
  filter: (from: Peer, packet: Uint8Array) => boolean = () => true;
  readonly #path: SeededRandom;

  constructor(
    options: {
      seed?: number;
      conditions?: Partial<LinkConditions>;
      wrapped?: boolean;
      client?: PeerChanges;
      server?: PeerChanges;
    } = {},
  ) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.#path = this.random.fork('path');
    this.wrapped = options.wrapped ?? false;
    this.conditions = { ...PERFECT, ...options.conditions };
    this.client = new Peer(this, 'client', options.client ?? {});
    this.server = new Peer(this, 'server', options.server ?? {});
  }

  other(peer: Peer): Peer {
    return peer === this.client ? this.server : this.client;
  }

  carry(from: Peer, packet: Uint8Array): void {
    if (!this.filter(from, packet)) return;
    this.#carry((corrupt) => {
      const arrived = packet.slice();
      if (corrupt) arrived[this.#path.below(arrived.length)]! ^= 1 << this.#path.below(8);
      this.other(from).receive(arrived);
    });
  }

  carryData(from: Peer, packet: DataPacket): void {
    this.#carry((corrupt) => {
      if (!corrupt) this.other(from).receiveData(packet);
    });
  }

  #carry(arrive: (corrupt: boolean) => void): void {
    const { loss, duplicate, reorder, reorderMs, delayMs, jitterMs, corrupt } = this.conditions;
    const lost = this.#path.chance(loss);
    const copies = this.#path.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = delayMs + this.#path.fraction() * jitterMs + (this.#path.chance(reorder) ? reorderMs : 0);
      const broken = this.#path.chance(corrupt);
      if (!lost) this.clock.schedule(this.clock.now() + delay, () => arrive(broken));
    }
  }

  /** Starts both: a p2mp server only listens. */
  start(): void {
    this.client.run(this.client.multi.start(this.clock.now()));
  }

  /** Data from both sides, every so often, until `until`. */
  traffic(everyMs: number, until: Instant): void {
    const tick = (): void => {
      this.client.sendData();
      this.server.sendData();
      if (this.clock.now() + everyMs <= until) this.clock.schedule(this.clock.now() + everyMs, tick);
    };
    tick();
  }

  get connected(): boolean {
    return this.client.multi.connected && this.server.multi.connected;
  }

  /** Connects, or tells what went wrong. */
  connect(limitMs: number = 60_000): void {
    this.start();
    const limit = this.clock.now() + limitMs;
    if (!this.clock.advanceUntil(() => this.connected, limit)) {
      throw new Error(`not connected: ${JSON.stringify([this.client.events.slice(-5), this.server.events.slice(-5)])}`);
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
