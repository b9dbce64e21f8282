import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { Credentials } from '@openvpnd/control-processor';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import { type Endpoint, formatEndpoint, linkAddress, parseEndpoint } from '@openvpnd/external-mux';
import { ADDRESS_LINK } from '@openvpnd/memory';
import { NEVER } from '@openvpnd/sans-io';
import { FakeTlsFactory, fakeCertificate, type SimLink, SimTun } from '@openvpnd/testkit';
import { ConnectionWalk, interleaveFamilies, type WalkAction } from '@openvpnd/tunnel-state';
import { ClientCredentials } from '../../src/client/client-credentials.js';
import type { ClientTunnel } from '../../src/client/client-tunnel.js';
import { type ComposedClient, composeClient } from '../../src/client/compose-client.js';
import { contenders } from '../../src/client/contenders.js';
import type { TunnelPlanInput } from '../../src/client/tunnel-plan.js';
import { type ControlWraps, controlWraps } from '../../src/control-wraps.js';
import type { RunSignal, SignalInfo } from '../../src/host/signals.js';
import { type OlderClient, olderClientEngines } from './old-engines.js';
import { clientOptions } from './sim-config.js';
import { SimRun } from './sim-peer.js';
import { CA, trustCa } from './sim-server.js';
import type { SimWorld } from './sim-world.js';

export interface SimClientOptions {
  readonly config?: readonly string[];
  /** Of its certificate; its name when absent. */
  readonly commonName?: string;
  /** Who signed its certificate. */
  readonly issuer?: string;
  /** Its outer address; when absent each client has one of its own. */
  readonly host?: string;
  /** Its outer IPv6 address. */
  readonly hostIpv6?: string;
  /** What its `remote` resolves to; when absent it is an address itself. */
  readonly reach?: readonly string[];
  /** A fixed port; when absent each connection has another. */
  readonly port?: number;
  /** Real TLS instead of the fake one. */
  readonly engines?: TlsEngineFactory;
  /** Other protection of control packets than the configuration's. */
  readonly wraps?: ControlWraps;
  /** User name and password. */
  readonly login?: Credentials;
  /** It says of itself what an older one would. */
  readonly older?: OlderClient;
  /** The first connection begins that much later. */
  readonly afterMs?: number;
}

/** A client process that connects again whenever a connection ends with SIGUSR1, as run-client.ts does. */
export class SimClient {
  readonly name: string;
  readonly options: Options;
  readonly device: SimTun;
  /** Signals that its tunnels have raised. */
  readonly signals: SignalInfo[] = [];
  /** When its connections came up. */
  readonly connectedAt: number[] = [];
  /** The addresses with which its attempts began. */
  readonly tried: string[] = [];
  /** When the last attempt began. */
  startedAt = 0;
  readonly #world: SimWorld;
  readonly #settings: SimClientOptions;
  readonly #host: string;
  readonly #credentials: ClientCredentials;
  #walk: ConnectionWalk<ConnectionEntry, Endpoint> | undefined;
  #run: SimRun<ClientTunnel> | undefined;
  #composed: ComposedClient | undefined;
  #plan: TunnelPlanInput | undefined;
  #incarnation = 0;
  #cancelPause: () => void = () => {};

  constructor(world: SimWorld, name: string, settings: SimClientOptions) {
    this.#world = world;
    this.name = name;
    this.#settings = settings;
    this.#host = settings.host ?? world.nextHost();
    this.#credentials = new ClientCredentials(settings.login);
    this.options = clientOptions(settings.config);
    this.device = new SimTun({
      clock: world.clock,
      name,
      onWrite: (packet) => world.traffic.handleArrival(name, packet),
    });
    world.traffic.addHost(name, { device: this.device, addresses: () => this.addresses });
  }

  /** The process starts. */
  start(): void {
    this.#cancelPause();
    this.#walk = new ConnectionWalk<ConnectionEntry, Endpoint>({ entries: this.options.connections });
    const begin = (): void => this.#follow(this.#walk!.start());
    if (this.#settings.afterMs === undefined) begin();
    else this.#pause(this.#world.clock.now() + this.#settings.afterMs, begin);
  }

  /** The process is killed: it tells nobody, and forgets everything. */
  kill(): void {
    this.#cancelPause();
    this.#run?.stop();
    this.#run = undefined;
    this.#plan = undefined;
  }

  signal(signal: RunSignal): void {
    this.run.signal(signal);
  }

  /** Its present attempt or connection. */
  get run(): SimRun<ClientTunnel> {
    if (this.#run === undefined) throw new Error(`${this.name} does not run`);
    return this.#run;
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  get link(): SimLink {
    return this.run.link;
  }

  get modules(): ComposedClient {
    if (this.#composed === undefined) throw new Error(`${this.name} was never started`);
    return this.#composed;
  }

  /** Whether it has its addresses and can carry data. */
  get connected(): boolean {
    return this.#plan !== undefined && this.#run?.tunnel.connected === true;
  }

  /** How its device and routes are to be, while it has some. */
  get plan(): TunnelPlanInput | undefined {
    return this.#plan;
  }

  /** What it would authenticate with now. */
  get login(): Credentials | undefined {
    return this.#credentials.current;
  }

  /** Its addresses in the tunnel, while it has some. */
  get addresses(): { readonly ipv4: string | undefined; readonly ipv6: string | undefined } {
    return { ipv4: this.#plan?.ifconfig?.local, ipv6: this.#plan?.ifconfigIpv6?.address };
  }

  #follow(action: WalkAction<ConnectionEntry, Endpoint>): void {
    const walk = this.#walk!;
    const now = this.#world.clock.now();
    switch (action.type) {
      case 'resolve': {
        const { entry } = action;
        const { remote } = entry;
        const hosts = this.#settings.reach ?? (remote ? [remote.host] : []);
        const found = hosts.flatMap((host) => parseEndpoint(host, remote?.port ?? 0) ?? []);
        this.#follow(walk.handleResolved(now, entry.raceDelayMs === undefined ? found : interleaveFamilies(found)));
        return;
      }
      case 'connect':
        this.tried.push(...contenders(action.entry, action.address, []).map(formatEndpoint));
        this.#connect(action.entry, contenders(action.entry, action.address, action.rivals));
        return;
      case 'wait':
        this.#pause(action.until, () => {
          const next = walk.handleTimeout(this.#world.clock.now());
          if (next !== undefined) this.#follow(next);
        });
        return;
      case 'exhausted':
      case 'unusable':
        this.#world.journal.add(this.name, 'exhausted');
        return;
    }
  }

  #pause(until: number, fire: () => void): void {
    this.#cancelPause = this.#world.clock.schedule(until, fire);
  }

  #connect(entry: ConnectionEntry, remotes: readonly Endpoint[]): void {
    const world = this.#world;
    const { name } = this;
    this.#incarnation += 1;
    this.startedAt = world.clock.now();
    const id = `${name}/${this.#incarnation}`;
    const [link, ...links] = remotes.map(({ family }) =>
      world.network.openLink(family === 6 ? (this.#settings.hostIpv6 ?? '') : this.#host, this.#settings.port ?? 0),
    );
    const commonName = this.#settings.commonName ?? name;
    const { older } = this.#settings;
    const engines =
      this.#settings.engines ??
      new FakeTlsFactory({
        seed: world.random.fork(`tls/${id}`).uint32(),
        certificates: [fakeCertificate(commonName, { issuer: this.#settings.issuer ?? CA })],
        verify: trustCa,
      });
    const composed = composeClient({
      options: this.options,
      entry,
      addresses: remotes.map((remote, index) => linkAddress(remote, [link, ...links][index].id)),
      raceDelayMs: entry.raceDelayMs ?? NEVER,
      engines: older === undefined ? engines : olderClientEngines(engines, older),
      wraps: this.#settings.wraps ?? controlWraps(this.options, entry),
      credentials: this.#credentials,
      backend: world.backend,
      flows: (changes) => world.flows?.(name, changes),
      ...(world.aeadLimits && { aeadLimits: world.aeadLimits }),
      random: world.random.fork(id),
      unixTime: world.unixTime,
      wake: () => run.wake(),
      sayImported: () => {},
      log: world.journal.log(name),
    });
    this.#composed = composed;
    const run: SimRun<ClientTunnel> = new SimRun({
      world,
      tunnel: composed.tunnel,
      link,
      links,
      configure: ({ imported }) => {
        this.#plan = imported.plan;
        this.#walk?.handleConnected();
        this.connectedAt.push(world.clock.now());
        world.journal.add(name, 'up');
        return this.device;
      },
      reconfigure: (imported) => {
        this.#plan = imported.plan;
        world.journal.add(name, 'reconfigured');
      },
      ended: (info) => {
        const last = composed.tunnel.peerAddress;
        const which = remotes[[link, ...links].findIndex(({ id }) => id === last?.[ADDRESS_LINK])];
        if (which !== undefined) this.#walk?.handleTried(which);
        this.#handleEnd(info);
      },
    });
    this.#run = run;
    run.execute(composed.tunnel.start(world.clock.now()));
  }

  #handleEnd(info: SignalInfo): void {
    const { signal, source, text } = info;
    this.#world.journal.add(this.name, 'signal', { signal, source, text });
    this.signals.push(info);
    this.#run = undefined;
    if (signal === 'SIGUSR1') this.#follow(this.#walk!.handleFailure(this.#world.clock.now(), info.retry));
    else this.#plan = undefined;
  }
}
