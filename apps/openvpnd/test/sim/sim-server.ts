import type { Options } from '@openvpnd/config';
import type { PeerCertificate, TlsEngineFactory } from '@openvpnd/control-tls';
import { FakeTlsFactory, type FakeTlsRefusal, fakeCertificate, SimTun } from '@openvpnd/testkit';
import { controlWraps } from '../../src/control-wraps.js';
import type { PasswordAnswer } from '../../src/host/password-program.js';
import type { RunSignal, SignalInfo } from '../../src/host/signals.js';
import type { ClientConfigAnswer } from '../../src/server/client-config.js';
import { composeServer, type ServerModules } from '../../src/server/compose-server.js';
import { passwordPolicy } from '../../src/server/password-policy.js';
import type { ServerTunnel } from '../../src/server/server-tunnel.js';
import { SERVER_HOST, serverOptions } from './sim-config.js';
import { type KeyQuestion, type PasswordQuestion, SimRun } from './sim-peer.js';
import type { SimWorld } from './sim-world.js';

/** Issuer of the certificates that both ends trust. */
export const CA = 'CN=fake CA';

export interface SimServerOptions {
  readonly config?: readonly string[];
  readonly clientConfig?: (commonName: string) => ClientConfigAnswer;
  /** Judges passwords, as the program of --auth-user-pass-verify does; undefined: it has yet to decide. */
  readonly passwords?: (question: PasswordQuestion) => PasswordAnswer | undefined;
  /** Judges client keys, as the program of --tls-crypt-v2-verify does. */
  readonly clientKeys?: (question: KeyQuestion) => boolean;
  /** Real TLS instead of the fake one. */
  readonly engines?: TlsEngineFactory;
}

/** A server process: it can be killed, and started again at the same address. */
export class SimServer {
  readonly options: Options;
  readonly device: SimTun;
  /** Signals that the tunnel has raised. */
  readonly signals: SignalInfo[] = [];
  /** How many clients were connected, each time that this changed. */
  readonly connectedCounts: number[] = [];
  readonly #world: SimWorld;
  readonly #settings: SimServerOptions;
  #run: SimRun<ServerTunnel> | undefined;
  #composed: ServerModules | undefined;
  #incarnation = 0;

  constructor(world: SimWorld, settings: SimServerOptions) {
    this.#world = world;
    this.#settings = settings;
    this.options = serverOptions(settings.config);
    this.device = new SimTun({
      clock: world.clock,
      name: 'server',
      onWrite: (packet) => world.traffic.handleArrival('server', packet),
    });
    world.traffic.addHost('server', {
      device: this.device,
      addresses: () => ({
        ipv4: this.options.device.ifconfig?.local,
        ipv6: this.options.device.ifconfigIpv6?.local,
      }),
    });
  }

  start(): void {
    const world = this.#world;
    this.#incarnation += 1;
    const log = world.journal.log('server');
    const passwords = passwordPolicy(this.options, world.random.fork(`tokens/${this.#incarnation}`));
    const { modules: composed } = composeServer({
      options: this.options,
      engines:
        this.#settings.engines ??
        new FakeTlsFactory({
          seed: world.random.fork(`tls/server/${this.#incarnation}`).uint32(),
          certificates: [fakeCertificate('server', { issuer: CA, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] })],
          verify: trustCa,
        }),
      wraps: this.options.listeners.map((listener) => controlWraps(this.options, listener)),
      backend: world.backend,
      flows: (changes) => world.flows?.('server', changes),
      ...(world.aeadLimits && { aeadLimits: world.aeadLimits }),
      random: world.random.fork(`server/${this.#incarnation}`),
      unixTime: world.unixTime,
      ...(passwords === undefined ? {} : { passwords }),
      clientConfig: this.#settings.clientConfig ?? (() => ({ type: 'none' })),
      wake: () => this.#run?.wake(),
      connected: (clients) => this.connectedCounts.push(clients),
      peerLog: (describe) => world.journal.log('server', () => describe().name),
      log,
    });
    this.#composed = composed;
    const [link, ...links] = this.options.listeners.map(({ localHost = SERVER_HOST, localPort }, index) => {
      const opened = world.network.openLink(localHost, localPort);
      composed.tunnel.addLink(opened.id, index);
      return opened;
    });
    this.#run = new SimRun({
      world,
      tunnel: composed.tunnel,
      link,
      links,
      device: this.device,
      verifyClientKey: (question) => {
        const admitted = this.#settings.clientKeys?.(question) ?? false;
        world.clock.schedule(world.clock.now() + 10, () => {
          const now = world.clock.now();
          this.#run?.execute(this.run.tunnel.handleClientKeyVerdict(now, question.requestId, admitted));
        });
      },
      verifyPassword: (question) => {
        const answer = this.#settings.passwords?.(question);
        if (answer !== undefined) world.clock.schedule(world.clock.now() + 10, () => this.answer(question, answer));
      },
      ended: (info) => {
        world.journal.add('server', 'signal', { signal: info.signal, source: info.source, text: info.text });
        this.signals.push(info);
        this.#run = undefined;
      },
    });
  }

  /** The program has decided. */
  answer({ questionId }: PasswordQuestion, answer: PasswordAnswer): void {
    this.#run?.execute(this.run.tunnel.handlePasswordVerdict(this.#world.clock.now(), questionId, answer));
  }

  /** The process is killed. */
  kill(): void {
    this.run.stop();
    this.#run = undefined;
  }

  signal(signal: RunSignal): void {
    this.run.signal(signal);
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  get run(): SimRun<ServerTunnel> {
    if (this.#run === undefined) throw new Error('the server does not run');
    return this.#run;
  }

  get modules(): ServerModules {
    if (this.#composed === undefined) throw new Error('the server was not started');
    return this.#composed;
  }

  get connected(): number {
    return this.modules.tunnel.population.connected;
  }
}

/** What a fake engine says of a certificate from elsewhere. */
export function trustCa(certificates: readonly PeerCertificate[]): FakeTlsRefusal | undefined {
  const stranger = certificates.find(({ issuer }) => issuer !== CA);
  return stranger && { depth: 0, error: 'unable to get local issuer certificate', subject: stranger.subject };
}
