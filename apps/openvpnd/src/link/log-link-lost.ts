import { LinkError, resetError } from '@openvpnd/external-mux';
import type { Log } from '@openvpnd/sans-io';

/** Tells how a stream has ended. `stranger` is its peer where the log does not name it. */
export function logLinkLost(log: Log | undefined, error: Error, stranger?: string): void {
  if (error instanceof LinkError && error.code === 'ERR_LINK_DIVERTED') {
    log?.info('link.diverted', { message: error.message, stranger });
    return;
  }
  const badLength = error instanceof LinkError && error.code === 'ERR_LINK_LENGTH';
  if (badLength) log?.warn('link.bad-length', { message: error.message, stranger });
  const last = badLength ? resetError('EOF') : error;
  log?.info('link.reset', { message: last.message, stranger });
}
