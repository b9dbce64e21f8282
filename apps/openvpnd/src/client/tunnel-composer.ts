import type { ConnectionEntry, Options } from '@openvpnd/config';
import { controlWraps } from '../control-wraps.js';
import { readCredentials } from '../host/credentials.js';
import type { Run } from '../run.js';
import { tlsEngines } from '../tls-engines.js';
import { ClientCredentials } from './client-credentials.js';
import { composeClient, type PeerParts } from './compose-client.js';
import { composeStaticKey, readStaticKey } from './compose-static-key.js';
import type { ComposedPeer } from './peer-tunnel.js';

/** Makes what makes the tunnel through an entry; throws when its keys cannot be used. */
export type TunnelComposer = (entry: ConnectionEntry) => (parts: PeerParts) => ComposedPeer;

/**
 * Reads what all connections of a client share: certificates and credentials, or a static key.
 *
 * @throws SourceFileError, FatalError or OptionValueError when something of it cannot be used; the message names option and file
 */
export function tunnelComposer(run: Run): TunnelComposer {
  return run.options.staticKey === undefined ? withTls(run) : withStaticKey(run.options);
}

/** @throws when certificates or credentials cannot be used */
function withTls({ options, log }: Run): TunnelComposer {
  const engines = tlsEngines(options);
  const { authUserPass } = options.client ?? {};
  const credentials = new ClientCredentials(authUserPass === undefined ? undefined : readCredentials(authUserPass));
  if (
    options.tls.role === 'client' &&
    options.tls.remoteCertTls === undefined &&
    options.tls.verifyX509Name === undefined &&
    options.tls.remoteCertEku === undefined
  ) {
    log.say(
      1,
      'WARNING: No server certificate verification method has been enabled.  See http://openvpn.net/howto.html#mitm for more info.',
    );
  }
  return (entry) => {
    const wraps = controlWraps(options, entry);
    return (parts) => composeClient({ ...parts, engines, wraps, credentials });
  };
}

/** @throws when the key cannot be used, or not with this cipher */
function withStaticKey(options: Options): TunnelComposer {
  const key = readStaticKey(options);
  return () => (parts) => composeStaticKey({ ...parts, key });
}
