import { earliest, type Instant, NEVER } from '@openvpnd/sans-io';
import type { ControlAction } from './control-action.js';
import { DataKeys } from './data-keys.js';
import type { KeyState } from './key-state.js';
import type { TlsSession } from './tls-session.js';

/** A newcomer that has said nothing for so long makes room for another one. */
const NEWCOMER_IDLE_MS = 5000;
/** The same for one that has shown a cookie: nobody but the peer itself can do that, as when it was killed again at once. */
const PROVEN_IDLE_MS = 1000;

/** Keys of sessions whose control channel is gone. OpenVPN: TM_LAME_DUCK. */
interface Orphans {
  readonly keyStates: readonly KeyState[];
  readonly expiresAt: Instant;
}

/** The sessions that a peer can have at a time, three at most, and the data channel keys of all of them. */
export class SessionTable {
  readonly dataKeys: DataKeys = new DataKeys();
  #active: TlsSession | undefined;
  #newcomer: TlsSession | undefined;
  /** Both, as far as there are any. */
  #sessions: readonly TlsSession[] = [];
  #orphans: Orphans | undefined;

  /** OpenVPN: TM_ACTIVE. */
  get active(): TlsSession | undefined {
    return this.#active;
  }

  /** OpenVPN: TM_INITIAL, which has yet to authenticate. */
  get newcomer(): TlsSession | undefined {
    return this.#newcomer;
  }

  get empty(): boolean {
    return !this.#active && !this.#newcomer && !this.#orphans;
  }

  /** The active one first. A list that is given does not change any more. */
  sessions(): readonly TlsSession[] {
    return this.#sessions;
  }

  /** Whether a session may begin now, beside what there is: one newcomer at a time. `proven`: it has shown a cookie. */
  admits(now: Instant, proven: boolean): boolean {
    return !this.#newcomer || now - this.#newcomer.heardAt >= (proven ? PROVEN_IDLE_MS : NEWCOMER_IDLE_MS);
  }

  /** Takes a new session: it is active where there is no other, otherwise it has to authenticate first. */
  add(session: TlsSession): void {
    if (!this.#active && !this.#newcomer && !this.#orphans) {
      this.#place(session, undefined);
      return;
    }
    this.dropNewcomer();
    this.#place(this.#active, session);
  }

  dropNewcomer(): void {
    this.#newcomer?.close();
    this.#place(this.#active, undefined);
  }

  /** The newcomer has authenticated. The keys of the session before it serve until it has its own. */
  promoteNewcomer(expiresAt: Instant, out: ControlAction[]): void {
    const newcomer = this.#newcomer;
    if (!newcomer) return;
    if (this.#active) this.orphanActive(expiresAt, out);
    this.#place(newcomer, undefined);
  }

  /** Ends the control channel of the active session. What keys it has stay; tells whether there are any. */
  orphanActive(expiresAt: Instant, out: ControlAction[]): boolean {
    this.retireOrphans(out);
    const keyStates = this.#active?.keyStates().filter((keyState) => this.dataKeys.has(keyState)) ?? [];
    this.#active?.close(keyStates);
    this.#place(undefined, this.#newcomer);
    if (keyStates.length > 0) this.#orphans = { keyStates, expiresAt };
    return keyStates.length > 0;
  }

  retireOrphans(out: ControlAction[]): void {
    for (const keyState of this.#orphans?.keyStates ?? []) this.dataKeys.retire(keyState, out);
    this.#orphans = undefined;
  }

  /** Forgets what has lived its time. */
  expire(now: Instant, out: ControlAction[]): void {
    for (const session of this.sessions()) {
      const lameDuck = session.takeExpiredLameDuck(now);
      if (lameDuck) this.dataKeys.retire(lameDuck, out);
    }
    if (this.#orphans && now >= this.#orphans.expiresAt) this.retireOrphans(out);
    if (this.#newcomer && now >= this.#newcomer.connectBy) this.dropNewcomer();
  }

  nextTimeout(): Instant {
    const next = earliest(this.dataKeys.nextTimeout(), this.#orphans?.expiresAt ?? NEVER);
    return this.sessions().reduce((soonest, session) => earliest(soonest, session.nextTimeout()), next);
  }

  /** Frees and zeroes everything. */
  close(): void {
    for (const session of this.sessions()) session.close();
    for (const keyState of this.#orphans?.keyStates ?? []) keyState.close();
    this.#place(undefined, undefined);
    this.#orphans = undefined;
  }

  #place(active: TlsSession | undefined, newcomer: TlsSession | undefined): void {
    this.#active = active;
    this.#newcomer = newcomer;
    this.#sessions = [active, newcomer].filter((session) => session !== undefined);
  }
}
