import {
  applyPushUpdate,
  type CompressionAlgorithm,
  type ConnectionEntry,
  type Options,
  type PulledOptions,
  type PullFilter,
  parsePushReply,
  type RedirectGateway as RedirectOption,
} from '@openvpnd/config';
import type { PulledOptions as NegotiatedByPush, ProtocolFlag } from '@openvpnd/control-processor';
import type { PeerSettings } from '@openvpnd/data-channel';
import { pulledPeerSettings, sessionTimeoutMs } from '../peer-settings.js';
import type { RedirectGateway, TunnelPlanInput } from './tunnel-plan.js';

/** What a client makes of the options that its server pushed, together with its own. */
export interface ImportedOptions {
  readonly pulled: PulledOptions;
  /** The options as they came, those that counted: a PUSH_UPDATE changes them. */
  readonly accepted: readonly string[];
  /** What the control channel has to know. */
  readonly negotiated: NegotiatedByPush;
  /** Timers and limits of the data channel from now on. */
  readonly peer: PeerSettings;
  /** How long the connection may last from now on; Infinity: as long as it likes. */
  readonly sessionTimeoutMs: number;
  /** How payloads are marked from now on. */
  readonly compression: CompressionAlgorithm | undefined;
  /** How the device and the routes are to be. */
  readonly plan: TunnelPlanInput;
}

/** Not ok: the connection must not go on. */
export type ImportResult =
  | { readonly ok: true; readonly imported: ImportedOptions; readonly lines: readonly string[] }
  | { readonly ok: false; readonly lines: readonly string[] };

const PROTOCOL_FLAGS: readonly ProtocolFlag[] = ['cc-exit', 'tls-ekm', 'dyn-tls-crypt', 'aead-epoch'];

/**
 * Judges a server's options by what the client allows and merges them with its own. `lines` are for the log.
 * OpenVPN: do_up()'s import of options, apply_push_options().
 */
export function importOptions(options: Options, entry: ConnectionEntry, pushed: readonly string[]): ImportResult {
  return importFiltered(options, entry, pushed, options.client?.pullFilters ?? []);
}

/**
 * What a PUSH_UPDATE makes of the options that were imported before: the whole anew, and `lines` about the change alone.
 * OpenVPN 2.7: process_push_update(), do_update().
 */
export function importUpdate(
  options: Options,
  entry: ConnectionEntry,
  before: ImportedOptions,
  update: readonly string[],
): ImportResult {
  const updated = applyPushUpdate(before.accepted, update, options.client?.pullFilters ?? []);
  if (!updated.ok) return { ok: false, lines: [...updated.log, updated.reason] };
  const change = importFiltered(options, entry, updated.brought, []);
  const lines = [...updated.log, ...change.lines];
  if (!change.ok) return { ok: false, lines };
  const whole = importFiltered(options, entry, updated.options, []);
  return { ...whole, lines };
}

function importFiltered(
  options: Options,
  entry: ConnectionEntry,
  pushed: readonly string[],
  pullFilters: readonly PullFilter[],
): ImportResult {
  const result = parsePushReply(pushed, {
    routeNopull: options.client?.routeNopull ?? false,
    pullFilters,
    compressionStubsOnly: options.dataChannel.compression.stubsOnly,
  });
  if (!result.ok) return { ok: false, lines: [...result.log, result.reason] };
  const { pulled } = result;
  const lines = [...result.log];
  if (pulled.pingSeconds !== undefined || pulled.pingTimeout !== undefined) {
    lines.push('OPTIONS IMPORT: timers and/or timeouts modified');
  }
  if (pulled.compression !== undefined) lines.push('OPTIONS IMPORT: compression parms modified');
  if (pulled.ifconfig !== undefined || pulled.ifconfigIpv6 !== undefined) {
    lines.push('OPTIONS IMPORT: --ifconfig/up options modified');
  }
  if (pulled.routes.routes.length + pulled.routes.routesIpv6.length > 0)
    lines.push('OPTIONS IMPORT: route options modified');
  if (pulled.routes.gateway !== undefined) lines.push('OPTIONS IMPORT: route-related options modified');
  if (pulled.dns.dhcpOptions.length > 0) lines.push('OPTIONS IMPORT: --ip-win32 and/or --dhcp-option options modified');
  if (pulled.sendBufferBytes !== undefined || pulled.receiveBufferBytes !== undefined) {
    lines.push('OPTIONS IMPORT: --sndbuf/--rcvbuf options modified');
  }
  if (pulled.tcpNoDelay) lines.push('OPTIONS IMPORT: --socket-flags option modified');
  if (pulled.exitNotify !== undefined && entry.protocol.transport === 'tcp') {
    lines.push('OPTIONS IMPORT: --explicit-exit-notify can only be used with --proto udp');
  }
  if (pulled.tunMtu !== undefined) {
    lines.push(`OPTIONS IMPORT: tun-mtu set to ${pulled.tunMtu}`);
    if (pulled.tunMtu > entry.tunMtuMax) {
      lines.push(
        `Server-pushed tun-mtu is too large, please add tun-mtu-max ${pulled.tunMtu} in the client configuration`,
      );
    }
  }
  return {
    ok: true,
    lines,
    imported: {
      pulled,
      accepted: result.accepted,
      negotiated: negotiatedByPush(pulled),
      peer: pulledPeerSettings(options, pulled),
      sessionTimeoutMs: sessionTimeoutMs(options, pulled),
      compression: (pulled.compression ?? options.dataChannel.compression).algorithm,
      plan: planInput(options, entry, pulled),
    },
  };
}

function negotiatedByPush(pulled: PulledOptions): NegotiatedByPush {
  const flags = PROTOCOL_FLAGS.filter((flag) => pulled.protocolFlags.includes(flag));
  return {
    cipher: pulled.cipher,
    peerId: pulled.peerId,
    keyDerivation: pulled.keyDerivation === 'tls-ekm' || flags.includes('tls-ekm') ? 'tls-ekm' : 'prf',
    protocolFlags: flags,
    // The configuration has refused what it does not know.
    unsupported: [],
  };
}

/** How the device and the routes are to be: by the options alone, or with what was pulled over them. */
export function planInput(options: Options, entry: ConnectionEntry, pulled?: PulledOptions): TunnelPlanInput {
  const { device, routes } = options;
  const ifconfig = pulled?.ifconfig ?? device.ifconfig;
  const ifconfigIpv6 = pulled?.ifconfigIpv6 ?? device.ifconfigIpv6;
  const redirect = mergeRedirect(routes.redirect, pulled?.routes.redirect);
  const gateway = pulled?.routes.gateway ?? routes.gateway;
  const gatewayIpv6 = pulled?.routes.gatewayIpv6 ?? routes.gatewayIpv6;
  const metric = pulled?.routes.metric ?? routes.metric;
  const ipv4Routes = [...routes.routes, ...(pulled?.routes.routes ?? [])];
  const ipv6Routes = [...routes.routesIpv6, ...(pulled?.routes.routesIpv6 ?? [])];
  return {
    topology: pulled?.topology ?? device.topology,
    tunMtu: Math.min(pulled?.tunMtu ?? entry.tunMtu, entry.tunMtuMax),
    ...(ifconfig && { ifconfig }),
    ...(ifconfigIpv6 && { ifconfigIpv6: { address: ifconfigIpv6.local, prefixBits: ifconfigIpv6.bits } }),
    routes: ipv4Routes.map(({ network, netmask, gateway: via, metric: cost }) => ({
      network,
      netmask,
      ...(via === undefined ? {} : { gateway: via }),
      ...(cost === undefined ? {} : { metric: cost }),
    })),
    ipv6Routes: ipv6Routes.map(({ network, bits, gateway: via, metric: cost }) => ({
      network,
      prefixBits: bits,
      ...(via === undefined ? {} : { gateway: via }),
      ...(cost === undefined ? {} : { metric: cost }),
    })),
    ...(gateway === undefined ? {} : { routeGateway: gateway }),
    ...(gatewayIpv6 === undefined ? {} : { ipv6RouteGateway: gatewayIpv6 }),
    ...(metric === undefined ? {} : { routeMetric: metric }),
    ...(redirect && { redirectGateway: redirect }),
  };
}

function mergeRedirect(
  own: RedirectOption | undefined,
  pulled: RedirectOption | undefined,
): RedirectGateway | undefined {
  const flags = pulled ?? own;
  if (flags === undefined) return undefined;
  return {
    private: !flags.reroute,
    def1: flags.def1,
    local: flags.local,
    autolocal: flags.autolocal,
    blockLocal: flags.blockLocal,
    ipv4: flags.ipv4,
    ipv6: flags.ipv6,
  };
}
