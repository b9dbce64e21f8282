import type { ConnectionEntry } from './connection-entry.js';
import type { PortShareOptions } from './proxy-options.js';
import type { Frequency } from './server-options.js';

/**
 * One place where a server waits for clients: a `local` line, a `<listen>` block, or without any of them the server's `proto` and `port`.
 * All are open at once. Its `remote` is undefined and `bind` is true.
 */
export interface Listener extends ConnectionEntry {
  /** `tag`: its name in the log, the status and for sockets that systemd passes. */
  readonly tag: string | undefined;
  /** Nobody has asked for it: it stands for the `proto` and `port` of a server without `local` and `<listen>`. */
  readonly implied: boolean;
  /** `bind-policy`: whether it is enough that any one of several addresses of a host name can be bound; default `any`. */
  readonly bindPolicy: 'any' | 'all';
  /** `listen-backlog`: connections that the system accepts ahead of us; default 512. */
  readonly backlog: number;
  /** `max-clients` of this listener, within that of the whole server; undefined: no limit of its own. */
  readonly maxClients: number | undefined;
  /** `connect-freq` and `connect-freq-initial` of this listener alone; undefined: it shares the server's limit with the others. */
  readonly connectFreq: Frequency | undefined;
  readonly connectFreqInitial: Frequency | undefined;
  /** `port-share`; without effect for UDP. */
  readonly portShare: PortShareOptions | undefined;
}
