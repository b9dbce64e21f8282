/** Values that an event may carry. Secrets do not belong here. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Where a protocol package tells what happened. An event has a stable dotted name (`reliability.retransmit`) and
 * fields, no prose; the application maps it to a line. Nothing is logged for a data packet.
 */
export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
}

/** A log that keeps nothing. */
export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
};
