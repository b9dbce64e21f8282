import type { TunDevice } from '@openvpnd/internal-mux';
import type { NativeTunDevice, TunOffload } from '@openvpnd/packet-io';
import {
  planInterface,
  planRoutes,
  type RoutePlan,
  type SystemRoutes,
  type TunnelPlanInput,
} from '../client/tunnel-plan.js';
import {
  configureInterface,
  type InterfaceSettings,
  type Say,
  setTransmitQueue,
  unconfigureInterface,
} from './interface.js';
import { OneAtATime } from './one-at-a-time.js';
import { gatewayTo, localNetworkOf, RouteKeeper } from './routes.js';

/** What cures the usual reasons why there is no device. */
const TUN_ADVICE: Readonly<Record<string, string>> = {
  ENOENT:
    'NOTE: there is no tun device here: load the kernel module (modprobe tun); give a container --device /dev/net/tun',
  ENODEV: 'NOTE: the kernel has no tun driver: load it with modprobe tun',
  EACCES: 'NOTE: opening a tun device takes root, or access to /dev/net/tun and the capability CAP_NET_ADMIN',
  EPERM: 'NOTE: opening a tun device takes root or the capability CAP_NET_ADMIN',
};

/** What decides about the device beside the plan, and does not change while the daemon runs. */
export interface TunnelInterfaceOptions {
  /** Opens the device. */
  readonly open: () => NativeTunDevice;
  /** --txqueuelen; undefined: as the system has it. */
  readonly txQueueLength: number | undefined;
  /** --ifconfig-noexec, --route-noexec. */
  readonly ifconfigNoexec: boolean;
  readonly routeNoexec: boolean;
  readonly say: Say;
}

/** What was set up. */
interface Standing {
  readonly plan: TunnelPlanInput;
  /** The system before our own routes could answer. */
  readonly system: SystemRoutes;
  readonly settings: InterfaceSettings;
  readonly routes: RoutePlan;
  readonly keeper: RouteKeeper;
}

/**
 * The tunnel's interface with its addresses and routes: brought up by a plan, taken down completely. It can outlive a restart
 * (`--persist-tun`) as long as the plan stays the same. OpenVPN: open_tun(), do_ifconfig(), do_route().
 */
export class TunnelInterface {
  readonly #options: TunnelInterfaceOptions;
  #device: NativeTunDevice | undefined;
  #standing: Standing | undefined;
  /** The end of the change that runs now. */
  /** A signal may end a connection while its routes are still being set. */
  readonly #changes: OneAtATime = new OneAtATime();

  constructor(options: TunnelInterfaceOptions) {
    this.#options = options;
  }

  /** The open device, if there is one. */
  get device(): TunDevice | undefined {
    return this.#device;
  }

  /** What the open device leaves to us of segmentation. */
  get offload(): TunOffload {
    return this.#device?.offload ?? 'none';
  }

  /**
   * Opens the device unless it is open already, as a server and a client that knows its addresses do before they connect.
   *
   * @throws the adapter's error, with OpenVPN's message
   */
  openDevice(): TunDevice {
    if (this.#device === undefined) {
      try {
        this.#device = this.#options.open();
      } catch (error) {
        const advice = TUN_ADVICE[(error as { systemCode?: string }).systemCode ?? ''];
        if (advice !== undefined) this.#options.say(advice);
        throw error;
      }
      this.#options.say(`TUN/TAP device ${this.#device.name} opened`);
    }
    return this.#device;
  }

  /**
   * Sets addresses and routes by the plan. An interface that was kept and has the same plan is left alone; one with another plan is
   * taken down first.
   *
   * @throws IpCommandError when the interface cannot be set up
   */
  bringUp(plan: TunnelPlanInput, remoteHost: SystemRoutes['remoteHost']): Promise<TunDevice> {
    return this.#changes.run(() => this.#bringUp(plan, remoteHost));
  }

  /**
   * Makes addresses and routes agree with another plan while the device stays open. Nothing while there is no interface: it is being
   * taken down. A plan that another one follows before its turn has come is passed over.
   *
   * @throws IpCommandError when the interface cannot be set up
   */
  update(plan: TunnelPlanInput): Promise<void> {
    return this.#changes.runLatest(() => this.#update(plan));
  }

  /** Removes routes and addresses and closes the device. Never throws. */
  takeDown(): Promise<void> {
    return this.#changes.run(() => this.#takeDown());
  }

  async #bringUp(plan: TunnelPlanInput, remoteHost: SystemRoutes['remoteHost']): Promise<TunDevice> {
    const { say } = this.#options;
    if (this.#standing !== undefined && this.#device !== undefined) {
      if (sameValue([this.#standing.plan, this.#standing.system.remoteHost], [plan, remoteHost])) {
        say(`Preserving previous TUN/TAP instance: ${this.#device.name}`);
        return this.#device;
      }
      say('NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.');
      await this.#takeDown();
    }
    // Asked before our own routes could answer.
    const system = await surveySystem(plan, remoteHost);
    const device = this.openDevice();
    const settings = planInterface(plan);
    const routes = planRoutes(plan, system, device.name);
    const keeper = new RouteKeeper(say);
    this.#standing = { plan, system, settings, routes, keeper };
    const { txQueueLength } = this.#options;
    if (txQueueLength !== undefined) await setTransmitQueue(device.name, txQueueLength, say);
    if (!this.#options.ifconfigNoexec) {
      await configureInterface(device.name, settings, say, { superPackets: this.offload !== 'none' });
    }
    if (!this.#options.routeNoexec) await this.#addRoutes(keeper, routes);
    return device;
  }

  async #update(plan: TunnelPlanInput): Promise<void> {
    const { say, ifconfigNoexec, routeNoexec } = this.#options;
    const [device, before] = [this.#device, this.#standing];
    if (device === undefined || before === undefined) return;
    const { system, keeper } = before;
    const settings = planInterface(plan);
    const routes = planRoutes(plan, system, device.name);
    this.#standing = { ...before, plan, settings, routes };
    const sameAddresses = sameValue(settings, before.settings);
    // What was displaced comes back only with everything, and routes lead to nowhere without the address under them.
    if (sameAddresses && sameValue(routes.displaceDefault, before.routes.displaceDefault)) {
      if (routeNoexec) return;
      for (const warning of routes.warnings) say(warning);
      await keeper.change(routes.routes);
      return;
    }
    await keeper.removeAll();
    if (!sameAddresses && !ifconfigNoexec) {
      await unconfigureInterface(device.name, before.settings, say);
      await configureInterface(device.name, settings, say);
    }
    if (!routeNoexec) await this.#addRoutes(keeper, routes);
  }

  async #takeDown(): Promise<void> {
    const { say } = this.#options;
    const [device, standing] = [this.#device, this.#standing];
    this.#standing = undefined;
    await standing?.keeper.removeAll();
    if (device === undefined) return;
    say('Closing TUN/TAP interface');
    if (standing !== undefined && !this.#options.ifconfigNoexec) {
      await unconfigureInterface(device.name, standing.settings, say);
    }
    device.close();
    this.#device = undefined;
  }

  async #addRoutes(keeper: RouteKeeper, plan: RoutePlan): Promise<void> {
    for (const warning of plan.warnings) this.#options.say(warning);
    // The way around the tunnel comes first: without it the tunnel would be routed into itself.
    const around = plan.routes.filter((route) => route.prefixBits > 0);
    const instead = plan.routes.filter((route) => route.prefixBits === 0);
    await keeper.add(around);
    for (const family of plan.displaceDefault) await keeper.displaceDefault(family);
    await keeper.add(instead);
  }
}

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function surveySystem(
  { routes, redirectGateway }: TunnelPlanInput,
  remoteHost: SystemRoutes['remoteHost'],
): Promise<SystemRoutes> {
  // A server mostly: nothing leads around its tunnel.
  if (remoteHost === undefined && routes.length === 0 && redirectGateway === undefined) return {};
  const toRemote = remoteHost === undefined ? undefined : await gatewayTo(remoteHost.address);
  // An address behind the default route, of the documentation's networks.
  const defaultGateway = await gatewayTo('192.0.2.1');
  const localNetwork = defaultGateway === undefined ? undefined : await localNetworkOf(defaultGateway);
  return {
    ...(remoteHost === undefined ? {} : { remoteHost }),
    ...(toRemote === undefined ? {} : { toRemote }),
    ...(defaultGateway === undefined ? {} : { defaultGateway }),
    ...(localNetwork === undefined ? {} : { localNetwork }),
  };
}
