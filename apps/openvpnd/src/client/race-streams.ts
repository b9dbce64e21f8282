import { connectError, type Endpoint, formatEndpoint, type OpenedLink, type PendingLink } from '@openvpnd/external-mux';
import type { Instant } from '@openvpnd/sans-io';
import { AddressRace } from '@openvpnd/tunnel-state';
import type { SignalInfo } from '../host/signals.js';
import { takeInterruption, untilSignal } from '../interruptible.js';
import { bindingFor } from '../link/socket-binding.js';
import type { Run } from '../run.js';
import { timerMs } from '../timer-limit.js';
import type { ClientLinkRequest } from './client-link-request.js';

/** The connection that was made, and to which of the addresses; or the signal that ends the attempt. */
export type StreamRace =
  | ({ readonly ok: true; readonly endpoint: Endpoint } & OpenedLink)
  | { readonly ok: false; readonly info: SignalInfo };

type Outcome =
  | { readonly won: OpenedLink; readonly endpoint: Endpoint }
  | { readonly lost: true }
  | { readonly error: Error };

/**
 * Connects to the first of some addresses that answers: one after the other as they fail, and one of the other family beside the first when that takes long. Connections that
 * come too late are closed before anything is sent.
 *
 * @throws what the factory says of an address of ours that cannot be had
 */
export async function raceStreams(run: Run, request: ClientLinkRequest): Promise<StreamRace> {
  const { entry, remotes, locals, raceDelayMs } = request;
  const bindings = new Map<Endpoint, Endpoint | undefined>();
  for (const remote of remotes) bindings.set(remote, bindingFor(entry, locals, remote.family));
  const race = new AddressRace({ addresses: remotes, delayMs: raceDelayMs });
  const outcome = await untilSignal<Outcome>(run.inbox, (finish) => {
    const attempts = new StreamAttempts(run, request, bindings, race, finish);
    attempts.begin(race.start(run.clock.now()));
    return () => attempts.stop();
  });
  if (outcome === undefined) return { ok: false, info: takeInterruption(run.inbox) };
  if ('error' in outcome) throw outcome.error;
  if ('lost' in outcome) {
    return { ok: false, info: { signal: 'SIGUSR1', source: 'connection failed(soft)', text: 'connection-failed' } };
  }
  const { won, endpoint } = outcome;
  request.tried(endpoint);
  run.log.say(1, `TCP connection established with ${formatEndpoint(endpoint)}`);
  return { ok: true, ...won, endpoint };
}

/** The attempts that are under way. */
class StreamAttempts {
  readonly #run: Run;
  readonly #request: ClientLinkRequest;
  readonly #bindings: ReadonlyMap<Endpoint, Endpoint | undefined>;
  readonly #race: AddressRace<Endpoint>;
  readonly #finish: (outcome: Outcome) => void;
  readonly #running: Map<Endpoint, { readonly pending: PendingLink; readonly timeout: NodeJS.Timeout }> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    run: Run,
    request: ClientLinkRequest,
    bindings: ReadonlyMap<Endpoint, Endpoint | undefined>,
    race: AddressRace<Endpoint>,
    finish: (outcome: Outcome) => void,
  ) {
    this.#run = run;
    this.#request = request;
    this.#bindings = bindings;
    this.#race = race;
    this.#finish = finish;
  }

  begin(remotes: readonly Endpoint[]): void {
    const { entry, factory, tried } = this.#request;
    for (const remote of remotes) {
      this.#run.log.say(1, `Attempting to establish TCP connection with ${formatEndpoint(remote)}`);
      tried(remote);
      const local = this.#bindings.get(remote);
      const pending = factory.connect({ remote, ...(local === undefined ? {} : { local }) }, (result) => {
        if (result.ok) {
          this.#forget(remote);
          this.#finish({ won: result, endpoint: remote });
        } else if (isOwnFault(result.error)) {
          this.#finish({ error: result.error });
        } else {
          this.#fail(remote, result.error);
        }
      });
      const timeout = setTimeout(() => {
        pending.cancel();
        this.#fail(remote, connectError(remote, 'ETIMEDOUT'));
      }, timerMs(entry.connectTimeoutSeconds));
      this.#running.set(remote, { pending, timeout });
    }
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const [remote, { pending }] of [...this.#running]) {
      pending.cancel();
      this.#forget(remote);
    }
  }

  #fail(remote: Endpoint, error: Error): void {
    this.#forget(remote);
    this.#run.log.say(1, error.message);
    const next = this.#race.handleFailure(this.#now(), remote);
    if (this.#race.lost) this.#finish({ lost: true });
    else this.begin(next);
  }

  #forget(remote: Endpoint): void {
    clearTimeout(this.#running.get(remote)?.timeout);
    this.#running.delete(remote);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const at = this.#race.nextTimeout();
    if (Number.isFinite(at)) {
      this.#timer = setTimeout(() => this.begin(this.#race.handleTimeout(Math.max(at, this.#now()))), at - this.#now());
    }
  }

  #now(): Instant {
    return this.#run.clock.now();
  }
}

/** An address of ours that cannot be had: no other address of the server would make it better. */
function isOwnFault(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ERR_LINK_BIND' || code === 'ERR_LINK_OPEN';
}
