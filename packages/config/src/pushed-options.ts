import { applyStatement } from './apply/apply-statement.js';
import { checkStatement, printable } from './check-statement.js';
import { type Draft, emptyDraft } from './draft.js';
import { deepFreeze } from './finish-options.js';
import { optionsError } from './option-reader.js';
import { type CompressionAlgorithm, isStub } from './options/compression-options.js';
import type { DnsOptions, Ifconfig, IfconfigIpv6, RouteOptions, Topology } from './options/device-options.js';
import type { PullFilter } from './options/server-options.js';
import { filterPulled } from './pull-filter.js';
import { PUSH_OPTIONS, type Statement } from './statement.js';
import { tokeniseLine } from './tokenise-line.js';

/** Most options that are taken from one reply; a reply of 64 KiB of the shortest routes stays far below. */
export const MAX_PULLED_OPTIONS = 16_384;

/** What the client allows of a PUSH_REPLY. */
export interface PullPolicy {
  /** `route-nopull`. */
  readonly routeNopull: boolean;
  /** `pull-filter`, in order. */
  readonly pullFilters: readonly PullFilter[];
  /** Of the client's own options: compression beside the stubs ends the connection. */
  readonly compressionStubsOnly: boolean;
}

/** What a server pushed, checked. Undefined: not pushed, the client's own value stays. */
export interface PulledOptions {
  readonly topology: Topology | undefined;
  readonly ifconfig: Ifconfig | undefined;
  readonly ifconfigIpv6: IfconfigIpv6 | undefined;
  readonly ifconfigNoexec: boolean;
  readonly routes: RouteOptions;
  readonly dns: DnsOptions;
  readonly pingSeconds: number | undefined;
  /** `seconds` 0 switches the timeout off. */
  readonly pingTimeout: { readonly seconds: number; readonly action: 'restart' | 'exit' } | undefined;
  readonly pingTimerRemote: boolean;
  /** `seconds` 0 switches the limit off. */
  readonly inactive: { readonly seconds: number; readonly bytes: number } | undefined;
  /** 0 switches the limit off. */
  readonly sessionTimeoutSeconds: number | undefined;
  readonly tunMtu: number | undefined;
  readonly sendBufferBytes: number | undefined;
  readonly receiveBufferBytes: number | undefined;
  /** `socket-flags TCP_NODELAY`. */
  readonly tcpNoDelay: boolean;
  readonly exitNotify: number | undefined;
  readonly persistTun: boolean;
  readonly verbosity: number | undefined;
  readonly mute: number | undefined;
  /** Negotiation results. */
  readonly cipher: string | undefined;
  /** What `compress` or `comp-lzo` set it to; `algorithm` undefined: no marks. */
  readonly compression: { readonly algorithm: CompressionAlgorithm | undefined } | undefined;
  /** 0 to 2^24-1. */
  readonly peerId: number | undefined;
  readonly keyDerivation: 'tls-ekm' | undefined;
  readonly protocolFlags: readonly string[];
  /** The password to use from now on. */
  readonly authToken: string | undefined;
  /** The user name to use with it, base64. */
  readonly authTokenUser: string | undefined;
}

/**
 * The outcome of a PUSH_REPLY. `log`: lines about options that were refused, filtered or ignored. Not ok: the
 * connection must not go on (a `pull-filter reject` matched, or framing or keying was pushed that is not supported).
 */
export type PulledResult =
  | {
      readonly ok: true;
      readonly pulled: PulledOptions;
      /** The options as they came that passed and were good: what a PUSH_UPDATE changes. */
      readonly accepted: readonly string[];
      readonly log: readonly string[];
    }
  | { readonly ok: false; readonly reason: string; readonly log: readonly string[] };

/** Options whose refusal would leave both ends with different packets. */
const FRAMING: ReadonlySet<string> = new Set(['compress', 'comp-lzo']);
/** And with different keys. A server pushes only what we announce: one that does not is another kind of server. */
const KEYING: ReadonlySet<string> = new Set(['protocol-flags', 'key-derivation']);

const BAD_COMPRESSION =
  'OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a non-working connection. See also allow-compression in the manual.';

/**
 * Judges the options of a PUSH_REPLY. What may not be pushed, is unknown or malformed is logged and skipped, as
 * OpenVPN does; `setenv opt` does not wrap anything here, so permission always counts for the option itself. Parts with
 * push-continuation are to be joined before. Never throws. OpenVPN: apply_push_options().
 *
 * @param options one option each, without the `PUSH_REPLY` in front
 */
export function parsePushReply(options: readonly string[], policy: PullPolicy): PulledResult {
  const draft = emptyDraft();
  const log: string[] = [];
  const accepted: string[] = [];
  if (options.length > MAX_PULLED_OPTIONS) {
    return { ok: false, reason: `the server pushed more than ${MAX_PULLED_OPTIONS} options`, log };
  }
  for (const [index, text] of options.entries()) {
    const filtered = filterPulled(text, policy.pullFilters);
    if (filtered !== undefined) log.push(filtered.line);
    if (filtered?.action === 'reject') return { ok: false, reason: filtered.line, log };
    if (filtered?.action === 'ignore') continue;
    const taken = takePushed(draft, text, index + 1, policy, log);
    if (taken === 'good') accepted.push(text);
    else if (taken !== undefined) return { ok: false, reason: taken.fatal, log };
  }
  log.push(...draft.warnings);
  if (policy.compressionStubsOnly && !isStub(draft.compression?.algorithm)) {
    log.push("Compression is not allowed since allow-compression is set to 'stub-only'");
    return { ok: false, reason: BAD_COMPRESSION, log };
  }
  return { ok: true, pulled: deepFreeze(collect(draft)), accepted, log };
}

/** Whether the option is good; undefined: it is left out and the connection goes on without it. */
function takePushed(
  draft: Draft,
  text: string,
  line: number,
  policy: PullPolicy,
  log: string[],
): 'good' | { readonly fatal: string } | undefined {
  const origin = { file: PUSH_OPTIONS, line };
  const tokens = tokeniseLine(text, `${PUSH_OPTIONS}:${line}`);
  if (!tokens.ok) {
    log.push(optionsError(tokens.reason));
    return undefined;
  }
  const [name, ...parameters] = tokens.parameters;
  if (name === undefined) return undefined;
  const statement: Statement = { name, parameters, inline: false, origin };
  const verdict = checkStatement(statement, policy.routeNopull ? 'pushed-nopull' : 'pushed');
  switch (verdict.verdict) {
    case 'unknown':
    case 'wrong':
      log.push(optionsError(verdict.reason));
      return nonWorking(name, text);
    case 'ignored':
      log.push(...verdict.notices);
      return undefined;
    case 'good': {
      log.push(...verdict.notices);
      const reason = applyStatement(draft, statement);
      if (reason === undefined) return 'good';
      log.push(optionsError(`${reason} (${PUSH_OPTIONS}:${line})`));
      return nonWorking(name, text);
    }
  }
}

/** Why a connection cannot work without an option that is refused, if it cannot. */
function nonWorking(name: string, text: string): { readonly fatal: string } | undefined {
  if (FRAMING.has(name)) return { fatal: BAD_COMPRESSION };
  return KEYING.has(name)
    ? {
        fatal: `OPTIONS ERROR: server pushed protocol settings that are not known here and would result in a non-working connection ('${printable(text)}').`,
      }
    : undefined;
}

function collect(draft: Draft): PulledOptions {
  return {
    topology: draft.topology,
    ifconfig: draft.ifconfig,
    ifconfigIpv6: draft.ifconfigIpv6,
    ifconfigNoexec: draft.ifconfigNoexec ?? false,
    routes: {
      routes: draft.routes,
      routesIpv6: draft.routesIpv6,
      gateway: draft.routeGateway,
      gatewayIpv6: draft.routeGatewayIpv6,
      metric: draft.routeMetric,
      delay: draft.routeDelay,
      noexec: false,
      allowRecursive: false,
      redirect: draft.redirect,
    },
    dns: { dhcpOptions: draft.dhcpOptions, settings: draft.dnsSettings },
    pingSeconds: draft.pingSeconds,
    pingTimeout: draft.pingTimeout,
    pingTimerRemote: draft.pingTimerRemote ?? false,
    inactive: draft.inactive,
    sessionTimeoutSeconds: draft.sessionTimeoutSeconds,
    tunMtu: draft.entry.tunMtu,
    sendBufferBytes: draft.entry.sendBufferBytes,
    receiveBufferBytes: draft.entry.receiveBufferBytes,
    tcpNoDelay: draft.entry.noDelay ?? false,
    exitNotify: draft.entry.exitNotify,
    persistTun: draft.persistTun ?? false,
    verbosity: draft.verbosity,
    mute: draft.mute,
    cipher: draft.cipher,
    compression: draft.compression && { algorithm: draft.compression.algorithm },
    peerId: draft.peerId,
    keyDerivation: draft.keyDerivation,
    protocolFlags: draft.protocolFlags ?? [],
    authToken: draft.authToken,
    authTokenUser: draft.authTokenUser,
  };
}
