import {
  clientConfig,
  type IssuedCertificate,
  type Lab,
  type LabNamespace,
  type RunningProcess,
  serverConfig,
  ThrowAwayPki,
  writeConfig,
} from '@openvpnd/testkit/node';
import type { Pair, Program } from './programs.js';

/** Far above what a handshake takes on a busy machine. */
export const UP_MS = 30_000;
/** The server's address inside the tunnel. */
export const SERVER_INSIDE = '10.8.0.1';
export const SERVER_INSIDE_V6 = 'fd08::1';

/** How the two ends are to be set up. */
export interface TunnelSettings {
  readonly pair: Pair;
  readonly family?: 4 | 6;
  readonly ciphers?: readonly string[];
  /** Lines for both ends, the server, or the clients alone. */
  readonly extra?: readonly string[];
  readonly serverExtra?: readonly string[];
  readonly clientExtra?: readonly string[];
  /** For `keepalive`. */
  readonly keepalive?: string;
  /** How many clients there will be at most; 1 when absent. */
  readonly clients?: number;
}

/** A server and places for clients, not started yet: one network, one authority. */
export class TunnelSetup {
  readonly server: LabNamespace;
  readonly clients: readonly LabNamespace[];
  readonly pki: ThrowAwayPki;
  readonly #lab: Lab;
  readonly #settings: TunnelSettings;
  readonly #serverOutside: string;
  readonly #serverConfig: string;
  #configs = 0;

  private constructor(
    lab: Lab,
    settings: TunnelSettings,
    made: Pick<TunnelSetup, 'server' | 'clients' | 'pki'> & { serverOutside: string; serverConfig: string },
  ) {
    this.#lab = lab;
    this.#settings = settings;
    this.server = made.server;
    this.clients = made.clients;
    this.pki = made.pki;
    this.#serverOutside = made.serverOutside;
    this.#serverConfig = made.serverConfig;
  }

  static async make(lab: Lab, settings: TunnelSettings): Promise<TunnelSetup> {
    const server = await lab.namespace('server');
    const clients: LabNamespace[] = [];
    for (let number = 1; number <= (settings.clients ?? 1); number++)
      clients.push(await lab.namespace(`client${number}`));
    const addresses = (await lab.join([server, ...clients])).addressesOf(server);
    const serverOutside = settings.family === 6 ? addresses.ipv6 : addresses.ipv4;
    const pki = await ThrowAwayPki.create();
    const config = serverConfig({
      identity: { ca: pki.ca, ...(await pki.issue('server', 'server')) },
      proto: protoOf(settings),
      local: serverOutside,
      device: 'tun0',
      networkV6: 'fd08::/64',
      ...(settings.keepalive === undefined ? {} : { keepalive: settings.keepalive }),
      ...ciphersOf(settings),
      extra: [...settings.pair.server.extra, ...(settings.extra ?? []), ...(settings.serverExtra ?? [])],
    });
    return new TunnelSetup(lab, settings, {
      server,
      clients,
      pki,
      serverOutside,
      serverConfig: writeConfig(lab.directory, 'server.conf', config),
    });
  }

  /** Starts the server and waits until it serves. */
  async startServer(): Promise<RunningProcess> {
    const running = start(this.server, this.#settings.pair.server, this.#serverConfig);
    await running.waitForLine(/Initialization Sequence Completed/, UP_MS);
    return running;
  }

  /** Starts client number `index` without waiting; with a certificate of its own unless another identity is given. */
  async startClient(
    index = 0,
    identity?: { readonly ca: string } & Pick<IssuedCertificate, 'cert' | 'key'>,
    more: readonly string[] = [],
  ): Promise<RunningProcess> {
    const namespace = this.clients[index] as LabNamespace;
    const config = clientConfig({
      identity: identity ?? { ca: this.pki.ca, ...(await this.pki.issue(namespace.name, 'client')) },
      proto: protoOf(this.#settings),
      remote: this.#serverOutside,
      device: 'tun0',
      ...ciphersOf(this.#settings),
      extra: [
        ...this.#settings.pair.client.extra,
        ...(this.#settings.extra ?? []),
        ...(this.#settings.clientExtra ?? []),
        ...more,
      ],
    });
    const file = writeConfig(this.#lab.directory, `client${++this.#configs}.conf`, config);
    return start(namespace, this.#settings.pair.client, file);
  }

  /** As {@link startClient}, and waits until the tunnel stands. */
  async connectClient(index = 0): Promise<RunningProcess> {
    const running = await this.startClient(index);
    await running.waitForLine(/Initialization Sequence Completed/, UP_MS);
    return running;
  }
}

function start(namespace: LabNamespace, { name, command }: Program, config: string): RunningProcess {
  const [program = '', ...before] = command;
  return namespace.start(program, [...before, '--config', config], { title: `${namespace.name} (${name})` });
}

function protoOf({ family }: TunnelSettings): string {
  return family === 6 ? 'udp6' : 'udp4';
}

function ciphersOf({ ciphers }: TunnelSettings): { ciphers?: readonly string[] } {
  return ciphers === undefined ? {} : { ciphers };
}
