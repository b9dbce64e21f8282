import ipaddr from 'ipaddr.js';
import type { Say } from './interface.js';
import { type IpProgram, SYSTEM_IP } from './ip-command.js';

/** One route into or around the tunnel, with text addresses. */
export interface HostRoute {
  readonly family: 4 | 6;
  /** `10.55.0.0` */
  readonly network: string;
  readonly prefixBits: number;
  /** Next hop; absent for a route that only names the device. */
  readonly gateway?: string;
  readonly device?: string;
  readonly metric?: number;
}

/** How packets to an address leave this machine. OpenVPN: ROUTE_GATEWAY. */
export interface Gateway {
  /** Absent when the address is on the link. */
  readonly gateway?: string;
  readonly device: string;
}

/**
 * How the system reaches `address` now, or undefined when it does not.
 * OpenVPN: net_route_v4_best_gw(), net_route_v6_best_gw().
 */
export async function gatewayTo(address: string, program: IpProgram = SYSTEM_IP): Promise<Gateway | undefined> {
  const family = address.includes(':') ? '-6' : '-4';
  let answer: unknown;
  try {
    answer = JSON.parse(await program.run('-j', family, 'route', 'get', address));
  } catch {
    return undefined;
  }
  const row = (Array.isArray(answer) ? answer[0] : undefined) as { gateway?: string; dev?: string } | undefined;
  if (row?.dev === undefined) return undefined;
  return row.gateway === undefined ? { device: row.dev } : { gateway: row.gateway, device: row.dev };
}

/** The IPv4 network in which a gateway stands, as its device is configured. */
export async function localNetworkOf(
  gateway: Gateway,
  program: IpProgram = SYSTEM_IP,
): Promise<{ network: string; prefixBits: number } | undefined> {
  if (gateway.gateway === undefined) return undefined;
  const shown = await program
    .run('-j', '-4', 'route', 'show', 'dev', gateway.device, 'scope', 'link')
    .catch(() => '[]');
  for (const row of JSON.parse(shown) as { dst?: string }[]) {
    const [network, bits] = (row.dst ?? '').split('/');
    if (bits === undefined || !ipaddr.IPv4.isValid(network)) continue;
    const range: [ipaddr.IPv4, number] = [ipaddr.IPv4.parse(network), Number(bits)];
    if (ipaddr.IPv4.parse(gateway.gateway).match(range)) return { network, prefixBits: Number(bits) };
  }
  return undefined;
}

/**
 * The routes that this process put into the system, so that exactly those leave again. A route that stood there
 * before is neither replaced nor removed, as in OpenVPN.
 */
export class RouteKeeper {
  readonly #say: Say;
  readonly #ip: IpProgram;
  readonly #added: HostRoute[] = [];
  /** Default routes that `redirect-gateway` without def1 took away, as `ip route show` words. */
  readonly #displaced: { family: 4 | 6; words: readonly string[] }[] = [];

  constructor(say: Say, program: IpProgram = SYSTEM_IP) {
    this.#say = say;
    this.#ip = program;
  }

  /**
   * Adds routes in order, all by one process: a server may push thousands. What the system refuses is a warning, the tunnel goes on
   * (OpenVPN: `ERROR: Linux route add command failed`).
   */
  async add(routes: readonly HostRoute[]): Promise<void> {
    for (const route of routes) this.#say(`net_route_v${route.family}_add: ${describe(route)}`);
    const complaints = await this.#ip.each(routes.map((route) => `route add ${words(route).join(' ')}`));
    for (const [index, route] of routes.entries()) {
      const complaint = complaints[index];
      if (complaint === undefined) this.#added.push(route);
      // OpenVPN does not fail on a route that is there already.
      else if (/File exists/.test(complaint)) {
        this.#say(`NOTE: Linux route add command failed because route exists (${words(route).join(' ')})`);
      } else this.#say(`ERROR: Linux route add command failed: ${complaint} (${words(route).join(' ')})`);
    }
  }

  /**
   * Makes the added routes those of `routes`, in order: those that stand stay, others go before the new ones come. Never throws for
   * what the system refuses, as {@link add}.
   */
  async change(routes: readonly HostRoute[]): Promise<void> {
    const wanted = new Set(routes.map(key));
    await this.#remove(this.#added.filter((route) => !wanted.has(key(route))));
    const standing = new Set(this.#added.map(key));
    await this.add(routes.filter((route) => !standing.has(key(route))));
  }

  /** Takes the present default routes of a family away, to be put back by {@link removeAll}. */
  async displaceDefault(family: 4 | 6): Promise<void> {
    const shown = await this.#ip.run(`-${family}`, 'route', 'show', 'default');
    for (const line of shown.split('\n')) {
      const route = line.trim();
      if (route === '') continue;
      // Output-only words that `ip route add` does not take.
      const parts = route.split(/\s+/).filter((word) => word !== 'linkdown' && word !== 'dead');
      this.#say(`net_route_v${family}_del: ${route}`);
      await this.#ip.run(`-${family}`, 'route', 'del', ...parts);
      this.#displaced.push({ family, words: parts });
    }
  }

  /** Removes what was added, last first, and restores what was displaced. Never throws: the interface may be gone. */
  async removeAll(): Promise<void> {
    await this.#remove([...this.#added]);
    for (let route = this.#displaced.pop(); route !== undefined; route = this.#displaced.pop()) {
      const { family, words: parts } = route;
      this.#say(`net_route_v${family}_add: ${parts.join(' ')}`);
      await this.#ip.run(`-${family}`, 'route', 'add', ...parts).catch((error: unknown) => {
        this.#say(`ERROR: cannot restore the default route: ${String(error)}`);
      });
    }
  }

  /** Last first. */
  async #remove(routes: readonly HostRoute[]): Promise<void> {
    const leaving = routes.toReversed();
    for (const route of leaving) {
      this.#added.splice(this.#added.indexOf(route), 1);
      this.#say(`net_route_v${route.family}_del: ${describe(route)}`);
    }
    await this.#ip.each(leaving.map((route) => `route del ${words(route).join(' ')}`)).catch(() => {});
  }
}

function key(route: HostRoute): string {
  return `${route.family} ${words(route).join(' ')}`;
}

function words(route: HostRoute): string[] {
  const parts = [`${route.network}/${route.prefixBits}`];
  if (route.gateway !== undefined) parts.push('via', route.gateway);
  if (route.device !== undefined) parts.push('dev', route.device);
  if (route.metric !== undefined) parts.push('metric', String(route.metric));
  return parts;
}

/** As OpenVPN's netlink build prints a route. */
function describe(route: HostRoute): string {
  const via = route.gateway ?? (route.family === 4 ? '0.0.0.0' : '::');
  return `${route.network}/${route.prefixBits} via ${via} dev ${route.device ?? '[NULL]'} table 0 metric ${route.metric ?? -1}`;
}
