import { type ControlWrapFactory, tlsCryptWraps } from '@openvpnd/control-wrap';
import { Secret } from '@openvpnd/sans-io';

const KEY = Uint8Array.from({ length: 256 }, (_, i) => i);

/** tls-crypt, so that a changed bit is a lost packet and not the end of TLS. */
export function cryptWraps(role: 'client' | 'server'): ControlWrapFactory {
  return tlsCryptWraps({ key: new Secret(KEY), role });
}
