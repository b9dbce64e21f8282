import type { TunDevice } from '@openvpnd/internal-mux';
import { planInterface, planRoutes, type RoutePlan, type SystemRoutes, type TunnelPlanInput } from '../tunnel-plan.js';
import { configureInterface, type InterfaceSettings, type Say, unconfigureInterface } from './interface.js';
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
  readonly open: () => TunDevice;
  /** --ifconfig-noexec, --route-noexec. */
  readonly ifconfigNoexec: boolean;
  readonly routeNoexec: boolean;
  readonly say: Say;
}

/**
 * The tunnel's interface with its addresses and routes: brought up by a plan, taken down completely. It can outlive a restart
 * (`--persist-tun`) as long as the plan stays the same. OpenVPN: open_tun(), do_ifconfig(), do_route().
 */
export class TunnelInterface {
  readonly #options: TunnelInterfaceOptions;
  #device: TunDevice | undefined;
  #settings: InterfaceSettings | undefined;
  #routes: RouteKeeper | undefined;
  #plan = '';
  /** The end of the change that runs now. */
  #changes: Promise<void> = Promise.resolve();

  constructor(options: TunnelInterfaceOptions) {
    this.#options = options;
  }

  /** The open device, if there is one. */
  get device(): TunDevice | undefined {
    return this.#device;
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
    return this.#afterwards(() => this.#bringUp(plan, remoteHost));
  }

  /** Removes routes and addresses and closes the device. Never throws. */
  takeDown(): Promise<void> {
    return this.#afterwards(() => this.#takeDown());
  }

  /** One change at a time: a signal may end a connection while its routes are still being set. */
  async #afterwards<T>(change: () => Promise<T>): Promise<T> {
    const before = this.#changes;
    const mine = before.then(change);
    this.#changes = mine.then(
      () => {},
      () => {},
    );
    return await mine;
  }

  async #bringUp(plan: TunnelPlanInput, remoteHost: SystemRoutes['remoteHost']): Promise<TunDevice> {
    const { say } = this.#options;
    const fingerprint = JSON.stringify([plan, remoteHost]);
    if (this.#settings !== undefined && this.#device !== undefined) {
      if (this.#plan === fingerprint) {
        say(`Preserving previous TUN/TAP instance: ${this.#device.name}`);
        return this.#device;
      }
      say('NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.');
      await this.#takeDown();
    }
    // Asked before our own routes could answer.
    const system = await surveySystem(remoteHost);
    const device = this.openDevice();
    const settings = planInterface(plan);
    this.#settings = settings;
    this.#plan = fingerprint;
    if (!this.#options.ifconfigNoexec) await configureInterface(device.name, settings, say);
    const routes = planRoutes(plan, system, device.name);
    this.#routes = new RouteKeeper(say);
    if (!this.#options.routeNoexec) await this.#addRoutes(this.#routes, routes);
    return device;
  }

  async #takeDown(): Promise<void> {
    const { say } = this.#options;
    const device = this.#device;
    await this.#routes?.removeAll();
    this.#routes = undefined;
    if (device === undefined) return;
    say('Closing TUN/TAP interface');
    if (this.#settings !== undefined && !this.#options.ifconfigNoexec) {
      await unconfigureInterface(device.name, this.#settings, say);
    }
    device.close();
    this.#device = undefined;
    this.#settings = undefined;
    this.#plan = '';
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

async function surveySystem(remoteHost: SystemRoutes['remoteHost']): Promise<SystemRoutes> {
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
