import { applyPushUpdate, describeOption, parsePushReply } from '@openvpnd/config';
import type { Instant } from '@openvpnd/sans-io';
import { splitPushUpdate } from '@openvpnd/wire';
import type { TunnelAction } from '../tunnel-action.js';
import type { Instance, ServerClients } from './server-clients.js';
import type { ServerControl } from './server-control.js';

/** Whom a change of pushed options is for: every client, or the one with that id, as the second format of `--status` names it. */
export type PushUpdateTarget = 'all' | { readonly clientId: number };

/**
 * What became of a change of pushed options. `told`: ids of the clients to which it was sent; `unable`: of those that do not take it, as
 * OpenVPN before 2.7, or have no options yet. Not ok: nobody was told, and `reason` says why.
 */
export type PushUpdateResult =
  | { readonly ok: true; readonly told: readonly number[]; readonly unable: readonly number[] }
  | { readonly ok: false; readonly reason: string };

/** A PUSH_UPDATE that makes sense. */
interface CheckedUpdate {
  readonly messages: readonly string[];
  readonly ifconfig: { readonly local: string; readonly remoteOrNetmask: string } | undefined;
  readonly ifconfigIpv6: { readonly local: string; readonly bits: number; readonly remote: string } | undefined;
}

/** Changes what clients were pushed, while their tunnels stand. OpenVPN 2.7: send_push_update(). */
export class PushUpdates {
  readonly #clients: ServerClients;
  readonly #control: ServerControl;

  constructor(clients: ServerClients, control: ServerControl) {
    this.#clients = clients;
    this.#control = control;
  }

  /**
   * @param options one each: `route 10.9.0.0 255.255.0.0`, `-dns`, `?block-ipv6`. The first of a kind replaces all that the client has of it.
   *   Addresses (`ifconfig`, `ifconfig-ipv6`) only for one client, which is known by the new one from then on.
   */
  send(now: Instant, target: PushUpdateTarget, options: readonly string[], actions: TunnelAction[]): PushUpdateResult {
    const checked = check(options);
    if (typeof checked === 'string') return { ok: false, reason: checked };
    const readdresses = checked.ifconfig !== undefined || checked.ifconfigIpv6 !== undefined;
    if (readdresses && target === 'all') return { ok: false, reason: 'an address can only be given to one client' };
    const instances = this.#instances(target);
    if (target !== 'all' && instances.length === 0)
      return { ok: false, reason: `no client has the id ${target.clientId}` };
    const told: number[] = [];
    const unable: number[] = [];
    for (const instance of instances) {
      const { multi, clientId } = instance.modules;
      if (!multi.takesPushUpdate) {
        unable.push(clientId);
        continue;
      }
      if (readdresses && !this.#readdress(now, instance, checked)) {
        return { ok: false, reason: 'another client has that address' };
      }
      this.#control.drive(now, instance.slot, actions, () => multi.sendPushUpdate(now, checked.messages));
      told.push(clientId);
    }
    return { ok: true, told, unable };
  }

  #instances(target: PushUpdateTarget): readonly Instance[] {
    const all = [...this.#clients.all()];
    return target === 'all' ? all : all.filter(({ modules }) => modules.clientId === target.clientId);
  }

  /** Packets to the new address go to this client before it hears of it, so that none is lost behind. */
  #readdress(now: Instant, instance: Instance, { ifconfig, ifconfigIpv6 }: CheckedUpdate): boolean {
    for (const { slot, modules } of this.#clients.all()) {
      const others = modules.assigned?.addresses;
      if (slot === instance.slot || others === undefined) continue;
      if (others.ipv4 !== undefined && others.ipv4.local === ifconfig?.local) return false;
      if (others.ipv6 !== undefined && others.ipv6.local === ifconfigIpv6?.local) return false;
    }
    const { config } = instance.modules;
    const { ipv4, ipv6 } = instance.modules.assigned?.addresses ?? {};
    const wish = { ...config, ifconfig: ifconfig ?? ipv4, ifconfigIpv6: ifconfigIpv6 ?? ipv6 };
    return this.#control.assign(now, instance, wish) !== undefined;
  }
}

/** The messages, or why they would be of no use: a client would refuse the whole and begin anew. */
function check(options: readonly string[]): CheckedUpdate | string {
  const odd = options.find((option) => option.includes(',') || /[\u0000-\u001f\u007f]/.test(option));
  if (odd !== undefined)
    return `an option cannot hold commas or control characters: ${JSON.stringify(odd.slice(0, 80))}`;
  const applied = applyPushUpdate([], options);
  if (!applied.ok) return applied.reason;
  if (applied.log.length > 0) return applied.log.join('; ');
  if (options.some((option) => /^\s*-\??ifconfig(-ipv6)?\b/.test(option))) {
    return 'a client of this server always has its addresses: give it another with ifconfig or ifconfig-ipv6';
  }
  // What clients elsewhere can do is not known here in all its forms.
  const known = applied.brought.filter(
    (option) => describeOption(option.trim().split(/\s/, 1)[0])?.status.is === 'implemented',
  );
  const parsed = parsePushReply(known, { routeNopull: false, pullFilters: [], compressionStubsOnly: false });
  if (!parsed.ok) return parsed.reason;
  if (parsed.log.length > 0) return parsed.log.join('; ');
  const split = splitPushUpdate(options.join(','));
  if (!split.ok) return split.reason;
  const { ifconfig, ifconfigIpv6 } = parsed.pulled;
  return { messages: split.value, ifconfig, ifconfigIpv6 };
}
