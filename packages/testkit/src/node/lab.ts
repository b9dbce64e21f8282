import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HolderProcess } from './holder-process.js';
import {
  type FinishedProcess,
  PATIENCE_MS,
  type ProcessSettings,
  RunningProcess,
  runToEnd,
} from './running-process.js';

/** A bound for the small commands that set a lab up; they take milliseconds. */
const SETUP_TIMEOUT_MS = PATIENCE_MS;
/** How often an interface asks for IPv6 routers when it comes up; interfaces that are made later take it over. */
const ROUTER_SOLICITATIONS = '/proc/sys/net/ipv6/conf/default/router_solicitations';
/** What a process has for its end when the lab closes: nobody looks at it any more. */
const CLOSE_GRACE_MS = 3000;

/** The addresses that {@link Lab.join} gave one member, without prefix length. */
export interface LabAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
  /** The interface's name inside the namespace. */
  readonly device: string;
}

/** A network of a lab. */
export interface LabNetwork {
  /** Throws when the namespace is not a member. */
  addressesOf(namespace: LabNamespace): LabAddresses;
}

/** What a network of a lab looks like. */
export interface LabNetworkSettings {
  /** The first three octets of an IPv4 /24: `10.77.1`. */
  readonly ipv4?: string;
  /** The first part of an IPv6 /64, up to and with the double colon: `fd77:1::`. */
  readonly ipv6?: string;
  /** Bytes; 1500 when absent. */
  readonly mtu?: number;
}

/**
 * One network namespace. It lives as long as a holder process, which ends by itself when this process is gone; there is no name
 * under /run/netns and so nothing to leave behind.
 */
export class LabNamespace {
  readonly name: string;
  readonly #lab: Lab;
  readonly #holder: HolderProcess;
  #devices = 0;
  #hosts: string | undefined;

  /** @internal Made by {@link Lab.namespace}. */
  constructor(lab: Lab, name: string, holder: HolderProcess) {
    this.#lab = lab;
    this.name = name;
    this.#holder = holder;
  }

  /** The id of a process inside, as `ip link … netns` and `nsenter` take it. */
  get pid(): number {
    return this.#holder.pid;
  }

  /**
   * From now on processes that start inside know these names, and no others: each with its addresses, of which the resolver decides the order (IPv6 first where it has a
   * route).
   */
  setHosts(names: Readonly<Record<string, readonly string[]>>): void {
    this.#hosts = join(this.#lab.directory, `hosts-${this.name}`);
    const lines = Object.entries(names).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}`),
    );
    writeFileSync(this.#hosts, `${lines.join('\n')}\n`, { mode: 0o644 });
  }

  /** Starts a process inside. It is stopped when the lab closes, and killed when this process dies. */
  start(command: string, args: readonly string[], settings: ProcessSettings = {}): RunningProcess {
    const [program, ...rest] = this.#enter(command, args);
    const running = new RunningProcess(program as string, rest, {
      title: `${this.name}: ${command}`,
      cwd: this.#lab.directory,
      ...settings,
    });
    this.#lab.adopt(running);
    return running;
  }

  /** Runs a command inside to its end, whatever its status. */
  run(
    command: string,
    args: readonly string[],
    timeoutMs: number,
    settings: ProcessSettings = {},
  ): Promise<FinishedProcess> {
    const [program, ...rest] = this.#enter(command, args);
    return runToEnd(program as string, rest, timeoutMs, {
      title: `${this.name}: ${command}`,
      cwd: this.#lab.directory,
      ...settings,
    });
  }

  /** Runs `ip` inside; a failure is an exception with ip's own words. Gives stdout. */
  async ip(...args: string[]): Promise<string> {
    const done = await this.run('ip', args, SETUP_TIMEOUT_MS);
    if (done.status !== 0) throw new Error(`${this.name}: ip ${args.join(' ')}: ${done.output}`);
    return done.stdout;
  }

  /** @internal The next free name for an interface. */
  nextDevice(): string {
    return `eth${this.#devices++}`;
  }

  #enter(command: string, args: readonly string[]): string[] {
    // nsenter, unshare, sh and setpriv replace themselves, so the process id is the command's own. The death signal covers a killed test runner.
    const enter = ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--'];
    if (this.#hosts !== undefined) {
      enter.push('unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', this.#hosts);
    }
    enter.push('setpriv', '--pdeathsig', 'KILL', '--');
    return [...enter, command, ...args];
  }
}

/**
 * A laboratory of network namespaces on this machine: made for one test, taken down by {@link Lab.close} whatever happened, and by the
 * kernel if even this process is killed. Needs root, or the inside of `unshare --user --map-root-user --net --mount`; see `missingForLab`.
 *
 * Traffic stays inside: no namespace has a way to the machine's own network.
 */
export class Lab {
  /** A directory for configurations and keys, readable by this user only; removed at close. */
  readonly directory: string;
  readonly #holders: HolderProcess[] = [];
  readonly #processes: RunningProcess[] = [];
  readonly #removeDirectory = (): void => rmSync(this.directory, { recursive: true, force: true });
  #networks = 0;
  #switches = 0;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'openvpnd-lab-'));
    process.once('exit', this.#removeDirectory);
  }

  /** Runs `body` with a new lab and closes it afterwards, also after an exception. */
  static async use<T>(body: (lab: Lab) => Promise<T>): Promise<T> {
    const lab = new Lab();
    try {
      return await body(lab);
    } finally {
      await lab.close();
    }
  }

  /**
   * A new, empty network namespace with its loopback up.
   *
   * Its interfaces ask for no IPv6 routers. They would do so when they come up, about 4 and 12 seconds later and so on, and servers pass on to all clients what
   * their device sends to a group: packets and bytes that a test counts would not be those of the test alone. Where /proc/sys cannot be written
   * (some containers) they ask all the same.
   */
  async namespace(name: string): Promise<LabNamespace> {
    const holder = await HolderProcess.start(name);
    this.#holders.push(holder);
    const namespace = new LabNamespace(this, name, holder);
    await namespace.ip('link', 'set', 'lo', 'up');
    await namespace.run('sh', ['-c', `echo 0 > ${ROUTER_SOLICITATIONS}`], SETUP_TIMEOUT_MS);
    return namespace;
  }

  /**
   * Joins namespaces by a new network: two directly by a veth pair, more by a bridge in a namespace of its own. Member number i gets
   * the host number i + 1 in both families.
   */
  async join(members: readonly LabNamespace[], settings: LabNetworkSettings = {}): Promise<LabNetwork> {
    const number = ++this.#networks;
    const ipv4 = settings.ipv4 ?? `10.77.${number}`;
    const ipv6 = settings.ipv6 ?? `fd77:${number.toString(16)}::`;
    const mtu = String(settings.mtu ?? 1500);
    const addresses = new Map<LabNamespace, LabAddresses>();
    for (const [index, member] of members.entries()) {
      const host = index + 1;
      addresses.set(member, {
        ipv4: `${ipv4}.${host}`,
        ipv6: `${ipv6}${host.toString(16)}`,
        device: member.nextDevice(),
      });
    }
    const [first, second] = members;
    if (members.length === 2 && first !== undefined && second !== undefined) {
      const [here, there] = [addressesIn(addresses, first).device, addressesIn(addresses, second).device];
      await first.ip(
        'link',
        'add',
        here,
        'mtu',
        mtu,
        'type',
        'veth',
        'peer',
        there,
        'mtu',
        mtu,
        'netns',
        String(second.pid),
      );
    } else {
      const hub = await this.namespace(`switch${++this.#switches}`);
      await hub.ip('link', 'add', 'br0', 'mtu', mtu, 'type', 'bridge', 'forward_delay', '0');
      await hub.ip('link', 'set', 'br0', 'up');
      for (const [index, member] of members.entries()) {
        const { device } = addressesIn(addresses, member);
        const port = `port${index}`;
        await hub.ip(
          'link',
          'add',
          port,
          'mtu',
          mtu,
          'type',
          'veth',
          'peer',
          device,
          'mtu',
          mtu,
          'netns',
          String(member.pid),
        );
        await hub.ip('link', 'set', port, 'master', 'br0', 'up');
      }
    }
    for (const [member, { ipv4: v4, ipv6: v6, device }] of addresses) {
      await member.ip('address', 'add', `${v4}/24`, 'dev', device);
      // Without nodad the address would be unusable for the first second or two.
      await member.ip('address', 'add', `${v6}/64`, 'dev', device, 'nodad');
      await member.ip('link', 'set', device, 'up');
    }
    return { addressesOf: (namespace) => addressesIn(addresses, namespace) };
  }

  /** Stops every process, lets the namespaces go and removes the directory. Safe to call twice. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map((running) => running.stop(CLOSE_GRACE_MS)));
    await Promise.all(this.#holders.splice(0).map((holder) => holder.release()));
    process.removeListener('exit', this.#removeDirectory);
    this.#removeDirectory();
  }

  /** @internal A process that has to end with the lab. */
  adopt(running: RunningProcess): void {
    this.#processes.push(running);
  }
}

function addressesIn(addresses: ReadonlyMap<LabNamespace, LabAddresses>, namespace: LabNamespace): LabAddresses {
  const found = addresses.get(namespace);
  if (found === undefined) throw new RangeError(`${namespace.name} is not a member of this network`);
  return found;
}
