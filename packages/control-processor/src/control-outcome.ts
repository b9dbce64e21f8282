import type { Instant, Log } from '@openvpnd/sans-io';
import type { ControlAction, ExitReason, SessionLostReason } from './control-action.js';

/** What one input to a peer's control channel leads to: the actions in order, and the peer's end, which comes once. */
export class ControlOutcome {
  readonly #scheduledExitMs: number;
  readonly #log: Log;
  #exit: { readonly at: Instant; readonly reason: ExitReason } | undefined;
  #over = false;
  #actions: ControlAction[] = [];

  constructor(scheduledExitMs: number, log: Log) {
    this.#scheduledExitMs = scheduledExitMs;
    this.#log = log;
  }

  /** Nothing is done any more: the peer is lost, or its end was told. */
  get over(): boolean {
    return this.#over;
  }

  /** The end is only a matter of time. */
  get exitAt(): Instant | undefined {
    return this.#exit?.at;
  }

  /** The actions gathered so far; the list itself, for those who add to it. */
  get actions(): ControlAction[] {
    return this.#actions;
  }

  add(action: ControlAction): void {
    this.#actions.push(action);
  }

  /** Removes and returns the actions. */
  takeActions(): readonly ControlAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** The first deadline stays, whatever the peer does. OpenVPN: schedule_exit(). */
  scheduleExit(now: Instant, reason: ExitReason): void {
    if (this.#exit) return;
    this.#exit = { at: now + this.#scheduledExitMs, reason };
    this.#log.info('session.exit-scheduled', { seconds: this.#scheduledExitMs / 1000, reason });
  }

  handleTimeout(now: Instant): void {
    if (this.#exit && now >= this.#exit.at) this.finish({ type: 'exit', reason: this.#exit.reason });
  }

  lose(reason: SessionLostReason): void {
    this.finish({ type: 'session-lost', reason });
  }

  /** The last action; what else this turn would have led to is not done. */
  finish(action: ControlAction): void {
    if (this.#over) return;
    this.#over = true;
    this.#actions.push(action);
  }

  close(): void {
    this.#over = true;
  }
}
