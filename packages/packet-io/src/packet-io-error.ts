import { getSystemErrorName } from 'node:util';
import { nativeAddon } from './native-addon.js';

/** What could not be done. The first two are those of the portable link as well. */
export type PacketIoErrorCode = 'ERR_LINK_BIND' | 'ERR_LINK_OPEN' | 'ERR_LINK_LOST' | 'ERR_TUN_OPEN' | 'ERR_TUN_LOST';

/** An operation that the system refused. The message is OpenVPN's own line, without its `ERROR:`. */
export class PacketIoError extends Error {
  readonly code: PacketIoErrorCode;
  /** The system's name of the failure, `EADDRINUSE`. */
  readonly systemCode: string;
  /** Its number, positive. */
  readonly errno: number;

  constructor(code: PacketIoErrorCode, what: string, errno: number) {
    super(`${what}: ${nativeAddon().errorText(errno)} (errno=${errno})`);
    this.name = 'PacketIoError';
    this.code = code;
    this.systemCode = getSystemErrorName(-errno);
    this.errno = errno;
  }
}
