import { createServer, type Server, type Socket } from 'node:net';

/** A TCP server for tests that knows its connections and can end them. */
export class EndableServer {
  readonly #server: Server;
  readonly #open: Set<Socket> = new Set();

  /**
   * @param serve gets each connection, which is kept already
   * @param allowHalfOpen as node:net has it
   */
  constructor(serve: (socket: Socket) => void, { allowHalfOpen = false }: { readonly allowHalfOpen?: boolean } = {}) {
    this.#server = createServer({ allowHalfOpen }, (socket) => {
      this.keep(socket);
      serve(socket);
    });
  }

  /** The port that it listens on. */
  async listen(address: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, address, resolve);
    });
    return (this.#server.address() as { port: number }).port;
  }

  /** A connection is ended with the others; its errors are nobody's business. */
  keep(socket: Socket): void {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => {});
  }

  /** Ends every connection, and goes on listening. */
  endAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** Ends every connection, and listens no more. */
  close(): void {
    this.#server.close();
    this.endAll();
  }
}
