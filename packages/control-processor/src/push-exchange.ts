import { earliest, type Instant, NEVER } from '@openvpnd/sans-io';
import { type Parsed, PushAssembly, type PushPart } from '@openvpnd/wire';

/** How often a client asks. OpenVPN: PUSH_REQUEST_INTERVAL. */
const PUSH_REQUEST_INTERVAL_MS = 5000;
/** How long a server lets further requests pass without an answer. OpenVPN: sent_push_reply_expiry. */
const PUSH_REPLY_GUARD_MS = 30_000;

/** The client's half: asks until the options have come, joins their parts, gives up on a silent server. */
export class PushPull {
  readonly #handWindowMs: number;
  readonly #assembly = new PushAssembly();
  #phase: 'idle' | 'asking' | 'done' = 'idle';
  #nextRequestAt: Instant = NEVER;
  /** Until when we wait although nothing comes: AUTH_PENDING prolongs it. */
  #pendingUntil: Instant = Number.NEGATIVE_INFINITY;
  #startedAt: Instant = Number.NEGATIVE_INFINITY;
  #heardAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(handWindowMs: number) {
    this.#handWindowMs = handWindowMs;
  }

  get asking(): boolean {
    return this.#phase === 'asking';
  }

  /** The control channel is up: ask at once. */
  begin(now: Instant): void {
    if (this.#phase !== 'idle') return;
    this.#phase = 'asking';
    this.#startedAt = now;
    this.#heardAt = now;
    this.#nextRequestAt = now;
  }

  /** Something came from the server. */
  handleLife(now: Instant): void {
    this.#heardAt = now;
  }

  /** Answers by how much the wait was prolonged. OpenVPN: receive_auth_pending(): the wait counts from S_ACTIVE and is bounded by max(reneg-sec / 2, hand-window). */
  handlePending(
    timeoutSeconds: number | undefined,
    renegMs: number,
  ): { readonly fromMs: number; readonly toMs: number } {
    const limit = Math.max(renegMs / 2, this.#handWindowMs);
    const toMs = timeoutSeconds === undefined ? limit : Math.min(timeoutSeconds * 1000, limit);
    this.#pendingUntil = this.#startedAt + toMs;
    return { fromMs: this.#handWindowMs, toMs };
  }

  /** Takes a part of a reply: all options after the last one. */
  handleReply(part: PushPart): Parsed<string[] | undefined> {
    const joined = this.#assembly.handlePart(part);
    if (joined.ok && joined.value) {
      this.#phase = 'done';
      this.#nextRequestAt = NEVER;
    }
    return joined;
  }

  /** Whether a PUSH_REQUEST is due; taking it sets the next one. */
  takeRequest(now: Instant): boolean {
    if (this.#phase !== 'asking' || now < this.#nextRequestAt) return false;
    this.#nextRequestAt = now + PUSH_REQUEST_INTERVAL_MS;
    return true;
  }

  /** Whether there is no more hope. OpenVPN: `No reply from server to push requests in …s`. */
  givenUp(now: Instant): boolean {
    return this.#phase === 'asking' && now >= this.#deadline();
  }

  nextTimeout(): Instant {
    return this.#phase === 'asking' ? earliest(this.#nextRequestAt, this.#deadline()) : NEVER;
  }

  #deadline(): Instant {
    return Math.max(this.#heardAt + this.#handWindowMs, this.#pendingUntil);
  }
}

/** The server's half: hands a request up once, remembers the reply, repeats it seldom. */
export class PushService {
  #requested = false;
  #offered = false;
  #reply: readonly string[] | undefined;
  #guardUntil: Instant = Number.NEGATIVE_INFINITY;

  get replied(): boolean {
    return this.#reply !== undefined;
  }

  /** The client asks, or takes a reply without asking (IV_PROTO bit 2). */
  request(): void {
    this.#requested = true;
  }

  /** Whether the owner is now to be asked for the options; true once. */
  takeOffer(): boolean {
    if (!this.#requested || this.#offered) return false;
    this.#offered = true;
    return true;
  }

  /** The messages that were sent first. */
  remember(now: Instant, messages: readonly string[]): void {
    this.#reply = messages;
    this.#guardUntil = now + PUSH_REPLY_GUARD_MS;
  }

  /** What to send again for a request that comes although the reply was sent; undefined within the guard time. */
  repeat(now: Instant): readonly string[] | undefined {
    if (!this.#reply || now < this.#guardUntil) return undefined;
    this.#guardUntil = now + PUSH_REPLY_GUARD_MS;
    return this.#reply;
  }
}
