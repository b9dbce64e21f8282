import { fileURLToPath } from 'node:url';
import {
  clientConfig,
  type IssuedCertificate,
  type Lab,
  type LabAddresses,
  type LabNamespace,
  ping,
  type RunningProcess,
  serverConfig,
  ThrowAwayPki,
  writeConfig,
} from '@openvpnd/testkit/node';

/** Whose program plays a role. */
export type Program = 'openvpn' | 'openvpnd';

export const DAEMON: string = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** A handshake on a busy machine, with room for one retransmission or two. */
export const UP_TIMEOUT_MS = 25_000;
export const UP = /Initialization Sequence Completed/;

/** A program's command with the arguments that come first. */
export function programCommand(program: Program): readonly [command: string, ...before: string[]] {
  return program === 'openvpn' ? ['openvpn'] : [process.execPath, DAEMON];
}

export function startProgram(place: LabNamespace, program: Program, args: readonly string[]): RunningProcess {
  const [command, ...before] = programCommand(program);
  return place.start(command, [...before, ...args], { title: `${place.name}: ${program}` });
}

/** The certificates that the tests share; made once for a file. */
export class TestPki {
  readonly pki: ThrowAwayPki;
  readonly server: IssuedCertificate;

  constructor(pki: ThrowAwayPki, server: IssuedCertificate) {
    this.pki = pki;
    this.server = server;
  }

  static async create(): Promise<TestPki> {
    const pki = await ThrowAwayPki.create('Test CA');
    return new TestPki(pki, await pki.issue('server', 'server'));
  }

  client(name: string): Promise<IssuedCertificate> {
    return this.pki.issue(name, 'client');
  }
}

/** The outer transport; a bare `tcp` is made the server's or the client's side by the program. */
export type Proto = 'udp4' | 'udp6' | 'tcp4' | 'tcp6';

export interface SiteSettings {
  readonly proto?: Proto;
  readonly ciphers?: readonly string[];
  readonly serverExtra?: readonly string[];
  /** Appended to the command line of the server. */
  readonly clients?: number;
}

/** How a client differs from the others. */
export interface ClientStart {
  readonly name?: string;
  readonly ca?: string;
  readonly identity?: IssuedCertificate;
  /** Where it goes instead of the server itself: a relay. */
  readonly remote?: { readonly address: string; readonly port: number };
  /** Where it runs instead of its own namespace. */
  readonly place?: LabNamespace;
  /** Another transport than the site's. */
  readonly proto?: Proto;
}

/** A server and its clients around one switch (or one cable), all in namespaces of one lab. */
export class Site {
  readonly lab: Lab;
  readonly tls: TestPki;
  readonly serverPlace: LabNamespace;
  readonly serverAddresses: LabAddresses;
  readonly clientPlaces: readonly LabNamespace[];
  readonly #settings: SiteSettings;

  private constructor(
    lab: Lab,
    tls: TestPki,
    places: readonly LabNamespace[],
    serverAddresses: LabAddresses,
    settings: SiteSettings,
  ) {
    this.lab = lab;
    this.tls = tls;
    this.serverPlace = places[0];
    this.clientPlaces = places.slice(1);
    this.serverAddresses = serverAddresses;
    this.#settings = settings;
  }

  static async create(lab: Lab, tls: TestPki, settings: SiteSettings = {}): Promise<Site> {
    const places = [await lab.namespace('server')];
    for (let i = 1; i <= (settings.clients ?? 1); i++) places.push(await lab.namespace(`client${i}`));
    const network = await lab.join(places);
    return new Site(lab, tls, places, network.addressesOf(places[0]), settings);
  }

  get proto(): Proto {
    return this.#settings.proto ?? 'udp4';
  }

  /** Starts the server and waits until it listens. */
  async startServer(program: Program, extra: readonly string[] = [], ca = this.tls.pki.ca): Promise<RunningProcess> {
    const config = serverConfig({
      identity: { ca, cert: this.tls.server.cert, key: this.tls.server.key },
      proto: this.proto,
      networkV6: 'fd08::/64',
      ciphers: this.#settings.ciphers,
      extra: [...(this.#settings.serverExtra ?? []), ...extra],
    });
    const file = writeConfig(this.lab.directory, `server-${program}.conf`, config);
    const running = startProgram(this.serverPlace, program, ['--config', file]);
    await running.waitForLine(UP, UP_TIMEOUT_MS);
    return running;
  }

  /** Starts client number `index` (0 …) without waiting for the tunnel. */
  async startClient(
    program: Program,
    index = 0,
    extra: readonly string[] = [],
    settings: ClientStart = {},
  ): Promise<RunningProcess> {
    const name = settings.name ?? `client${index + 1}`;
    const proto = settings.proto ?? this.proto;
    const identity = settings.identity ?? (await this.tls.client(name));
    const config = clientConfig({
      identity: { ca: settings.ca ?? this.tls.pki.ca, cert: identity.cert, key: identity.key },
      proto,
      remote: settings.remote?.address ?? (proto.endsWith('6') ? this.serverAddresses.ipv6 : this.serverAddresses.ipv4),
      port: settings.remote?.port,
      ciphers: this.#settings.ciphers,
      extra,
    });
    const file = writeConfig(this.lab.directory, `${name}-${program}.conf`, config);
    return startProgram(settings.place ?? this.clientPlaces[index], program, ['--config', file]);
  }

  /** Starts a client and waits for its tunnel. */
  async connectClient(program: Program, index = 0, extra: readonly string[] = []): Promise<RunningProcess> {
    const running = await this.startClient(program, index, extra);
    await running.waitForLine(UP, UP_TIMEOUT_MS);
    return running;
  }

  /** The tunnel address of a client, as its interface has it. */
  async tunnelAddress(index: number, family: 4 | 6): Promise<string> {
    const shown = await this.clientPlaces[index].ip('-j', `-${family}`, 'addr', 'show', 'scope', 'global');
    const links = JSON.parse(shown) as { ifname?: string; addr_info?: { local: string }[] }[];
    const tun = links.find((link) => link.ifname?.startsWith('tun'));
    const address = tun?.addr_info?.[0]?.local;
    if (address === undefined)
      throw new Error(`no IPv${family} address on the tunnel of client ${index + 1}: ${shown}`);
    return address;
  }
}

/** No process of ours may ever print one. */
export const STACK_TRACE = /^\s+at .*(\.js|\.ts|node:)/;

/**
 * Pings each target three times with packets of each size, all at once, and names those of which fewer than two came back: sizes that do not get through. One packet
 * alone may be lost where the processors are busy.
 */
export async function pingSizes(
  from: LabNamespace,
  targets: readonly string[],
  sizes: readonly number[],
): Promise<readonly string[]> {
  const all = targets.flatMap((target) =>
    sizes.map(async (size) => {
      const { received } = await ping(from, target, { count: 3, interval: 0.2, size });
      return received < 2 ? [`${size} to ${target}: ${received} of 3`] : [];
    }),
  );
  return (await Promise.all(all)).flat();
}
