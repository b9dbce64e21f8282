import { getSystemErrorName } from 'node:util';
import { nativeAddon } from './native-addon.js';

/** An operation that the system refused. The message is OpenVPN's own line, without its `ERROR:`. */
export class PacketIoError extends Error {
  /** Name of the error number: `EADDRINUSE`. */
  readonly code: string;
  /** The positive error number of the C library. */
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`${what}: ${nativeAddon().errorText(errno)} (errno=${errno})`);
    this.name = 'PacketIoError';
    this.code = getSystemErrorName(-errno);
    this.errno = errno;
  }
}
