import type { Options } from '@openvpnd/config';
import type { Clock } from '@openvpnd/event-loop';
import type { PassedSocket } from '@openvpnd/packet-io';
import type { Instant, Random } from '@openvpnd/sans-io';
import type { Privileges } from './host/privileges.js';
import type { SignalInbox } from './host/signals.js';
import type { StateFiles } from './host/state-files.js';
import type { DaemonLog } from './log/daemon-log.js';

/** What a run of a client or server is given: one reading of the options, and what outlives it. */
export interface Run {
  readonly options: Options;
  readonly log: DaemonLog;
  readonly inbox: SignalInbox;
  readonly privileges: Privileges;
  /** Opened once, before privileges are given up. */
  readonly files: StateFiles;
  /** Sockets that systemd has opened for a server. They outlive the run. */
  readonly passedSockets: readonly PassedSocket[];
  readonly clock: Clock;
  readonly random: Random;
  /** The instant in whole seconds of Unix time. Steps of the system's clock do not reach it. */
  readonly unixTime: (now: Instant) => number;
}

/** Something without which the daemon cannot go on. It prints the message and `Exiting due to fatal error`, and ends with status 1. */
export class FatalError extends Error {
  readonly code = 'ERR_FATAL';
  override readonly name = 'FatalError';
}
