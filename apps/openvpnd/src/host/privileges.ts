import { getPriority, setPriority } from 'node:os';
import type { Options } from '@openvpnd/config';
import { changeUser, findGroup, findUser } from '@openvpnd/packet-io';
import { FatalError } from '../run.js';
import type { Say } from './interface.js';

interface Identity {
  readonly name: string;
  readonly id: number;
}

/**
 * --user and --group of the first reading of the options: found at the start, taken on when the tunnel stands, once for a process.
 * OpenVPN: do_init_first_time(), platform_user_group_set().
 */
export class Privileges {
  #user: Identity | undefined;
  #group: Identity | undefined;
  #prepared = false;
  #dropped = false;

  /**
   * Finds the names, and sets --nice.
   *
   * @throws FatalError when there is no such user or group
   */
  prepare(options: Options, say: Say): void {
    if (this.#prepared) return;
    this.#prepared = true;
    const { user, group, nice } = options.process;
    if (group !== undefined) this.#group = identity(group, findGroup(group), 'GID for group');
    if (user !== undefined) this.#user = identity(user, findUser(user), 'UID for user');
    if (nice !== undefined) renice(nice, say);
  }

  /** Whether {@link drop} has something to do still. */
  get pending(): boolean {
    return !this.#dropped && (this.#user !== undefined || this.#group !== undefined);
  }

  /** @throws FatalError when this process may not */
  drop(say: Say): void {
    if (!this.pending) return;
    this.#dropped = true;
    let kept: boolean;
    try {
      kept = changeUser(this.#user?.id, this.#group?.id);
    } catch (error) {
      throw new FatalError(
        `cannot become user '${this.#user?.name ?? ''}' and group '${this.#group?.name ?? ''}': ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (this.#user !== undefined) say(`UID set to ${this.#user.name}`);
    if (this.#group !== undefined) say(`GID set to ${this.#group.name}`);
    if (kept) say('Capabilities retained: CAP_NET_ADMIN');
    else if (this.#user !== undefined && this.#user.id !== 0) {
      say('WARNING: CAP_NET_ADMIN could not be kept: the device cannot be opened anew, and routes stay at exit');
    }
  }
}

function identity(name: string, id: number | undefined, what: string): Identity {
  if (id === undefined) throw new FatalError(`failed to find ${what} ${name}`);
  return { name, id };
}

/** OpenVPN: platform_nice(). */
function renice(nice: number, say: Say): void {
  try {
    setPriority(Math.max(-20, Math.min(19, getPriority() + nice)));
    say(`nice ${nice} succeeded`);
  } catch (error) {
    say(`WARNING: nice ${nice} failed: ${(error as Error).message}`);
  }
}
