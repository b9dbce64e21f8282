import { AsyncLocalStorage } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';

/** Handshakes have their deadline above (hand-window); node:tls must not end one before. */
const NO_HANDSHAKE_TIMEOUT_MS = 2 ** 31 - 1;

interface Handshake {
  readonly secured: (socket: TLSSocket) => void;
  readonly failed: (error: Error) => void;
}

/**
 * Makes server-side handshakes. node:tls verifies clients only on streams that come in through one of its servers, and tells the server, not
 * the stream, how a handshake ended. All share one server (that listens nowhere and reads the certificates once); which handshake an event is
 * about is known from the asynchronous context in which the stream was handed over.
 */
export class ServerHandshakes {
  readonly #server: Server;
  readonly #current: AsyncLocalStorage<{ handshake: Handshake | undefined }> = new AsyncLocalStorage();

  constructor(options: SecureContextOptions, requestCert: boolean) {
    this.#server = createServer({
      ...options,
      requestCert,
      // The engine refuses whom OpenSSL refused; it could not say why if node:tls did.
      rejectUnauthorized: false,
      handshakeTimeout: NO_HANDSHAKE_TIMEOUT_MS,
    });
    this.#server.on('secureConnection', (socket) => this.#takeCurrent()?.secured(socket));
    this.#server.on('tlsClientError', (error) => this.#takeCurrent()?.failed(error));
  }

  begin(carrier: Duplex, handshake: Handshake): { readonly release: () => void } {
    const place: { handshake: Handshake | undefined } = { handshake };
    this.#current.run(place, () => this.#server.emit('connection', carrier));
    return {
      release: () => {
        place.handshake = undefined;
      },
    };
  }

  /** Each handshake is told of once. */
  #takeCurrent(): Handshake | undefined {
    const place = this.#current.getStore();
    const handshake = place?.handshake;
    if (place !== undefined) place.handshake = undefined;
    return handshake;
  }
}
