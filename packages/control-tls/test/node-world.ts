import type { TlsEngineWorld } from '@openvpnd/control-tls/conformance';
import { type NodeTlsOptions, nodeTlsEngineFactory } from '@openvpnd/control-tls/node';
import { type IssuedCertificate, ThrowAwayPki } from '@openvpnd/testkit/node';

/** Certificates that the tests of the adapter share; made once. */
export interface Identities {
  readonly pki: ThrowAwayPki;
  readonly otherPki: ThrowAwayPki;
  readonly server: IssuedCertificate;
  readonly client: IssuedCertificate;
  readonly strangeServer: IssuedCertificate;
  readonly strangeClient: IssuedCertificate;
}

let made: Promise<Identities> | undefined;

export function identities(): Promise<Identities> {
  made ??= (async () => {
    const [pki, otherPki] = [await ThrowAwayPki.create('Our CA'), await ThrowAwayPki.create('Other CA')];
    return {
      pki,
      otherPki,
      server: await pki.issue('server', 'server'),
      client: await pki.issue('client', 'client'),
      strangeServer: await otherPki.issue('strange server', 'server'),
      strangeClient: await otherPki.issue('strange client', 'client'),
    };
  })();
  return made;
}

/** One turn of Node's event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

export async function nodeWorld(options: Partial<NodeTlsOptions> = {}): Promise<TlsEngineWorld> {
  const { pki, server, client, strangeServer, strangeClient } = await identities();
  const ca = pki.ca;
  return {
    client: nodeTlsEngineFactory({ ca, cert: client.cert, key: client.key, ...options }),
    server: nodeTlsEngineFactory({ ca, cert: server.cert, key: server.key, ...options }),
    strangeClient: nodeTlsEngineFactory({ ca, cert: strangeClient.cert, key: strangeClient.key, ...options }),
    strangeServer: nodeTlsEngineFactory({ ca, cert: strangeServer.cert, key: strangeServer.key, ...options }),
    namelessClient: nodeTlsEngineFactory({ ca, ...options }),
    turn,
  };
}
