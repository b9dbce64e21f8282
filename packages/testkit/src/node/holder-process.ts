import { type ChildProcess, spawn } from 'node:child_process';

const READY_TIMEOUT_MS = 20_000;

/**
 * A process that does nothing but live in a new network namespace and so keeps it alive. It reads a pipe from this process: when the
 * pipe closes, because it is released or because this process died, it ends and the kernel removes the namespace with all in it.
 */
export class HolderProcess {
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
  }

  /** Rejects with the reason when the machine does not let us make a namespace. `name` is for the message. */
  static start(name: string): Promise<HolderProcess> {
    return new Promise((resolve, reject) => {
      // `cat` is reached only inside the new namespace: the first byte that comes back says so.
      const child = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'pipe'] });
      let complaint = '';
      const fail = (reason: string): void => {
        clearTimeout(timer);
        child.kill('SIGKILL');
        reject(new Error(`cannot make the network namespace ${name}: ${reason}`));
      };
      const timer = setTimeout(() => fail(`no answer within ${READY_TIMEOUT_MS} ms`), READY_TIMEOUT_MS);
      child.on('error', (error) => fail(error.message));
      child.on('close', (status) => fail(complaint.trim() || `unshare ended with status ${status}`));
      child.stdin.on('error', () => {});
      child.stderr.on('data', (text: Buffer) => {
        complaint += text.toString();
      });
      child.stdout.once('data', () => {
        clearTimeout(timer);
        child.removeAllListeners('close');
        resolve(new HolderProcess(child, child.pid as number));
      });
      child.stdin.write('ready\n');
    });
  }

  /** Lets the namespace go; resolves when the holder has ended. */
  release(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.stdin?.end();
    });
  }
}
