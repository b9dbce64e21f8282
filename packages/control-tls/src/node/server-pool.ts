import type { Duplex } from 'node:stream';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';

/** Idle servers that are kept for later. Each holds one parsed set of certificates. */
const MAX_IDLE_SERVERS = 64;
/** Handshakes have their deadline above (hand-window); node:tls must not end one before. */
const NO_HANDSHAKE_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Makes server-side handshakes. node:tls verifies clients only on streams that come in through one of its servers, and tells the
 * server, not the stream, how a handshake ended. So each handshake has a server (that listens nowhere) to itself, and leaves it to
 * the next when it went well.
 */
export class ServerPool {
  readonly #options: SecureContextOptions;
  readonly #requestCert: boolean;
  #idle: Server[] = [];

  constructor(options: SecureContextOptions, requestCert: boolean) {
    this.#options = options;
    this.#requestCert = requestCert;
  }

  begin(
    carrier: Duplex,
    handshake: { readonly secured: (socket: TLSSocket) => void; readonly failed: (error: Error) => void },
  ): { readonly release: () => void } {
    const server = this.#idle.pop() ?? this.#makeServer();
    // A server whose handshake failed or was dropped may still speak of it later, so it is not used again.
    const release = (): void => {
      server.removeAllListeners('secureConnection');
      server.removeAllListeners('tlsClientError');
    };
    server.on('secureConnection', (socket) => {
      release();
      if (this.#idle.length < MAX_IDLE_SERVERS) {
        this.#idle.push(server);
      }
      handshake.secured(socket);
    });
    server.on('tlsClientError', (error) => {
      release();
      handshake.failed(error);
    });
    server.emit('connection', carrier);
    return { release };
  }

  #makeServer(): Server {
    return createServer({
      ...this.#options,
      requestCert: this.#requestCert,
      // The engine refuses whom OpenSSL refused; it could not say why if node:tls did.
      rejectUnauthorized: false,
      handshakeTimeout: NO_HANDSHAKE_TIMEOUT_MS,
    });
  }
}
