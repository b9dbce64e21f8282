import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import type { Say } from './interface.js';

/** Readable by the owner alone, as OpenVPN creates them. */
const NEW_FILE_MODE = 0o600;
/** What is read of a file at most. */
const READ_BYTES = 1 << 24;

/**
 * A file that tells how the daemon stands, for `--status` and `--ifconfig-pool-persist`, written whole again and again. Writing is beside the
 * tunnel: it never waits for the disk. Where the directory allows it, a reader sees the old text or the new one and nothing between; elsewhere (another
 * user owns the directory, the file is a device) the new text is written over the old one through the descriptor that was opened at the start, as
 * OpenVPN does, so that it still works after `--user`.
 */
export class StateFile {
  readonly #path: string;
  readonly #say: Say;
  #handle: FileHandle;
  #replaceable: boolean;
  /** The text that waits while another is being written; only the newest counts. */
  #waiting: string | undefined;
  #writing: Promise<void> | undefined;
  #failed = false;

  private constructor(path: string, handle: FileHandle, replaceable: boolean, say: Say) {
    this.#path = path;
    this.#handle = handle;
    this.#replaceable = replaceable;
    this.#say = say;
  }

  /**
   * Opens a file, made if it is missing.
   *
   * @throws the system's error
   */
  static async open(path: string, purpose: 'write' | 'read-write' | 'read', say: Say): Promise<StateFile> {
    let handle: FileHandle;
    if (purpose === 'read') handle = await open(path, FLAGS.read);
    else handle = await openOrCreate(path, purpose);
    try {
      return new StateFile(path, handle, (await handle.stat()).isFile(), say);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What the file holds, 16 MiB at most. @throws the system's error */
  async read(): Promise<string> {
    const { size } = await this.#handle.stat();
    const buffer = Buffer.alloc(Math.min(size, READ_BYTES));
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  }

  /** Replaces the text, soon. A failure is told once, until it works again. Never throws. */
  write(text: string): void {
    this.#waiting = text;
    this.#writing ??= this.#drain();
  }

  /** Waits for what is being written and closes the file. Never throws. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close().catch(() => {});
  }

  async #drain(): Promise<void> {
    while (this.#waiting !== undefined) {
      const text = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#store(text);
        this.#failed = false;
      } catch (error) {
        if (!this.#failed)
          this.#say(`WARNING: cannot write ${this.#path}: ${(error as Error).message}; going on without`);
        this.#failed = true;
      }
    }
    this.#writing = undefined;
  }

  async #store(text: string): Promise<void> {
    if (this.#replaceable) {
      try {
        await this.#replace(text);
        return;
      } catch (error) {
        // A full disk is one for the file itself too, and half a text would be worse than an old one.
        if (FULL.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
        this.#replaceable = false;
      }
    }
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#handle.write(bytes, at, bytes.length - at, at)).bytesWritten;
    }
    // What is no file (a pipe, a device) has no end to be cut.
    await this.#handle.truncate(bytes.length).catch(() => {});
  }

  async #replace(text: string): Promise<void> {
    const { mode, uid, gid } = await this.#handle.stat();
    const beside = `${this.#path}.${process.pid}.tmp`;
    const fresh = await openFresh(beside, mode & 0o7777);
    try {
      const made = await fresh.stat();
      if (made.uid !== uid || made.gid !== gid) await fresh.chown(uid, gid);
      await fresh.chmod(mode & 0o7777);
      await fresh.writeFile(text);
      await rename(beside, this.#path);
    } catch (error) {
      await fresh.close().catch(() => {});
      await unlink(beside).catch(() => {});
      throw error;
    }
    const old = this.#handle;
    this.#handle = fresh;
    await old.close().catch(() => {});
  }
}

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE']);

/** Opening never waits: a FIFO without a reader is refused (ENXIO), or the whole daemon would stand, deaf to signals. */
const FLAGS = {
  write: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK,
  'read-write': constants.O_RDWR | constants.O_NONBLOCK,
  read: constants.O_RDONLY | constants.O_NONBLOCK,
} as const;

async function openOrCreate(path: string, purpose: 'write' | 'read-write'): Promise<FileHandle> {
  if (purpose === 'write') return await open(path, FLAGS.write, NEW_FILE_MODE);
  try {
    return await open(path, FLAGS['read-write']);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return await open(path, 'w+', NEW_FILE_MODE);
  }
}

/** A new file of ours, in place of what a crashed predecessor with our process id left. */
async function openFresh(path: string, mode: number): Promise<FileHandle> {
  try {
    return await open(path, 'wx', mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await unlink(path);
    return await open(path, 'wx', mode);
  }
}
