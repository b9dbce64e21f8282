import { connect, createSecureContext, type SecureContext } from 'node:tls';
import type { TlsEngine, TlsEngineFactory } from '../ports.js';
import { type BeginHandshake, NodeTlsEngine } from './node-tls-engine.js';
import { type NodeTlsOptions, secureContextOptions, trustedCertificates } from './node-tls-options.js';
import { PeerChains } from './peer-chains.js';
import { ServerHandshakes } from './server-handshakes.js';

/** A {@link TlsEngineFactory} whose certificates can be exchanged while it is in use. */
export interface NodeTlsEngineFactory extends TlsEngineFactory {
  /**
   * Uses other options for every engine made from now on: a new CRL, a renewed certificate. Engines that exist keep theirs.
   *
   * @throws TlsOptionsError, and then nothing has changed.
   */
  replaceOptions(options: NodeTlsOptions): void;
}

/**
 * TLS engines on node:tls. The chain of the peer is verified in every handshake; no session is resumed, none renegotiated.
 *
 * @throws TlsOptionsError when the options cannot work.
 */
export function nodeTlsEngineFactory(options: NodeTlsOptions): NodeTlsEngineFactory {
  let credentials = new Credentials(options);
  return {
    replaceOptions(replacement: NodeTlsOptions): void {
      credentials = new Credentials(replacement);
    },
    create: ({ role, wake }): TlsEngine => credentials.createEngine(role, wake),
  };
}

class Credentials {
  readonly #clientContext: SecureContext;
  readonly #server: ServerHandshakes;
  readonly #namelessClients: boolean;
  readonly #chains: PeerChains;

  constructor(options: NodeTlsOptions) {
    const context = secureContextOptions(options);
    const verifyClient = options.verifyClient ?? 'require';
    this.#clientContext = createSecureContext(context);
    this.#server = new ServerHandshakes(context, verifyClient !== 'none');
    this.#namelessClients = verifyClient !== 'require';
    // Authorities out of a PKCS #12 are known to OpenSSL alone.
    this.#chains = new PeerChains(trustedCertificates(options));
  }

  createEngine(role: 'client' | 'server', wake: () => void): TlsEngine {
    return new NodeTlsEngine({
      wake,
      begin: role === 'client' ? this.#connect : (carrier, handshake) => this.#server.begin(carrier, handshake),
      peerChain: (socket) => this.#chains.read(socket),
      namelessAllowed: role === 'server' && this.#namelessClients,
    });
  }

  readonly #connect: BeginHandshake = (carrier, { secured, failed }) => {
    const socket = connect({
      socket: carrier,
      secureContext: this.#clientContext,
      // The engine refuses whom OpenSSL refused; it could not say why if node:tls did.
      rejectUnauthorized: false,
      // Names are the control processor's: --verify-x509-name.
      checkServerIdentity: () => undefined,
    });
    const fail = (error: Error): void => failed(error);
    const closed = (): void => failed(new Error('TLS ended during the handshake'));
    socket.on('error', fail);
    socket.once('close', closed);
    socket.once('secureConnect', () => secured(socket));
    return { release: () => void socket.destroy() };
  };
}
