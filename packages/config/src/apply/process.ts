import type { Draft, Handlers } from '../draft.js';
import { parseInteger } from '../integer.js';
import { joinPath } from '../path.js';
import { clampedAt, numberAt, textAt } from './read-parameters.js';

/** `setenv` names that OpenVPN takes for itself; the rest are variables. */
function setenv(draft: Draft, name: string, value: string): string | undefined {
  switch (name) {
    case 'FORWARD_COMPATIBLE':
      if (value === '1') draft.forwardCompatible = true;
      return undefined;
    case 'PUSH_PEER_INFO':
      draft.pushPeerInfo = true;
      return undefined;
    case 'SERVER_POLL_TIMEOUT': {
      const seconds = parseInteger(value, 'setenv SERVER_POLL_TIMEOUT', 0, 86_400);
      if (!seconds.ok) return seconds.reason;
      draft.entry.connectTimeoutSeconds = seconds.value;
      return undefined;
    }
    case 'GENERIC_CONFIG':
      return 'this is a generic configuration and cannot directly be used';
    default:
      if (name.length < 2) return `setenv: the name '${name}' is too short`;
      draft.environment.push({ name, value });
      return undefined;
  }
}

const STATUS_VERSIONS = [1, 2, 3, 4] as const;

/** Between two writings of `status`. */
const STATUS_SECONDS = 60;

/** Top level, process and log. */
export const PROCESS_HANDLERS: Handlers = {
  mode(draft, statement) {
    draft.mode = textAt(statement, 0) === 'server' ? 'server' : 'p2p';
    return undefined;
  },
  client(draft) {
    draft.client = true;
    return undefined;
  },
  pull(draft) {
    draft.pull = true;
    return undefined;
  },
  cd(draft, statement) {
    draft.directory = joinPath(draft.directory, textAt(statement, 0));
    return undefined;
  },
  writepid(draft, statement) {
    draft.pidFile = textAt(statement, 0);
    return undefined;
  },
  user(draft, statement) {
    draft.user = textAt(statement, 0);
    return undefined;
  },
  group(draft, statement) {
    draft.group = textAt(statement, 0);
    return undefined;
  },
  nice(draft, statement) {
    draft.nice = numberAt(statement, 0);
    return undefined;
  },
  'script-security'(draft, statement) {
    draft.scriptSecurity = numberAt(statement, 0);
    return undefined;
  },
  setenv(draft, statement) {
    return setenv(draft, textAt(statement, 0), statement.parameters[1] ?? '');
  },
  'ignore-unknown-option'(draft, statement) {
    for (const name of statement.parameters) draft.ignoredOptions.add(name);
    return undefined;
  },
  'persist-tun'(draft) {
    draft.persistTun = true;
    return undefined;
  },
  // Keys are always kept; accepted because nearly every configuration has it.
  'persist-key'() {
    return undefined;
  },
  verb(draft, statement) {
    draft.verbosity = clampedAt(statement, 0, 0, 11);
    return undefined;
  },
  mute(draft, statement) {
    draft.mute = numberAt(statement, 0);
    return undefined;
  },
  log(draft, statement) {
    draft.logFile = { path: textAt(statement, 0), append: false };
    return undefined;
  },
  'log-append'(draft, statement) {
    draft.logFile = { path: textAt(statement, 0), append: true };
    return undefined;
  },
  status(draft, statement) {
    draft.status = { path: textAt(statement, 0), seconds: numberAt(statement, 1, STATUS_SECONDS) };
    return undefined;
  },
  'status-version'(draft, statement) {
    draft.statusVersion = STATUS_VERSIONS[numberAt(statement, 0) - 1];
    return undefined;
  },
  'suppress-timestamps'(draft) {
    draft.suppressTimestamps = true;
    return undefined;
  },
  'mute-replay-warnings'(draft) {
    draft.muteReplayWarnings = true;
    return undefined;
  },
};
