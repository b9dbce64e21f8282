import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { PATIENCE_MS } from '@openvpnd/testkit/node';

/** The management interface of a stock server in a lab: how a test makes it say what it does not say by itself. */
export class Management {
  readonly #socket: Socket;
  #text = '';
  #watchers = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text += text;
      for (const watcher of [...this.#watchers]) watcher();
    });
    socket.on('error', () => {});
  }

  /** Lines for the server's configuration. */
  static lines(directory: string): string[] {
    return [`management ${join(directory, 'management.sock')} unix`];
  }

  static open(directory: string): Promise<Management> {
    return new Promise((resolve, reject) => {
      const socket = connect(join(directory, 'management.sock'));
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Management(socket)));
    });
  }

  send(command: string): void {
    this.#socket.write(`${command}\n`);
  }

  /** Waits for a line that matches, also among those that came before. */
  async wait(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = this.#text.match(pattern);
        if (match === null) return;
        this.#watchers.delete(look);
        clearTimeout(timer);
        resolve(match);
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Error(`the management interface never said ${pattern}:\n${this.#text}`));
      }, PATIENCE_MS);
      this.#watchers.add(look);
      look();
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
