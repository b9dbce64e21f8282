import { compareOptionsStrings } from '@openvpnd/control-processor';
import type { PeerCounters } from '@openvpnd/data-channel';
import type { DataPacketShape } from '@openvpnd/keygen';
import { earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { OccMessage } from '@openvpnd/wire';
import { occAnswer } from '../occ-answer.js';
import { MtuTest } from './mtu-test.js';

/** Between two questions. OpenVPN: OCC_INTERVAL_SECONDS. */
const REQUEST_INTERVAL_MS = 10_000;
/** Questions; one interval later nobody waits any more. OpenVPN: OCC_N_TRIES. */
const MAX_REQUESTS = 11;

export interface OccExchangeOptions {
  /** Ours, which the peer is told when it asks. */
  readonly optionsString: string;
  /** What the peer's should be: then it is asked for. Without TLS nothing else tells it. */
  readonly expectedOptionsString?: string;
  readonly tunMtu: number;
  /** --mtu-test. */
  readonly mtuTest: boolean;
  /** --fragment is on. */
  readonly fragment: boolean;
  /** Answers with what was sent to the peer and received from it, in the size of packets. */
  readonly counters: () => PeerCounters;
  readonly log?: Log | undefined;
}

/**
 * The options consistency check with one peer, inside the data channel: answers its questions, asks for its options where that is wanted, and measures what packets
 * pass (--mtu-test). OpenVPN: occ.c.
 */
export class OccExchange {
  readonly #options: OccExchangeOptions;
  readonly #mtuTest: MtuTest | undefined;
  #shape: DataPacketShape | undefined;
  #requests = 0;
  #nextRequest: Instant = NEVER;

  constructor(options: OccExchangeOptions) {
    this.#options = options;
    if (options.mtuTest) this.#mtuTest = new MtuTest({ fragment: options.fragment, log: options.log });
  }

  /** Packets under the key that is sent with look like this from now on. */
  useShape(shape: DataPacketShape): void {
    this.#shape = shape;
  }

  /** Data can pass. A second call changes nothing. */
  begin(now: Instant): void {
    if (this.#requests === 0 && this.#options.expectedOptionsString !== undefined) {
      this.#requests = 1;
      this.#nextRequest = now + REQUEST_INTERVAL_MS;
    }
    this.#mtuTest?.begin(now);
  }

  /** A message of the peer, EXIT excepted, which is for others. @returns the answer */
  handleMessage(message: OccMessage): OccMessage | undefined {
    const { optionsString, expectedOptionsString, tunMtu, counters } = this.#options;
    if (message.type === 'REPLY' && this.#nextRequest !== NEVER && expectedOptionsString !== undefined) {
      this.#nextRequest = NEVER;
      for (const { kind, ...about } of compareOptionsStrings(expectedOptionsString, message.optionsString)) {
        this.#options.log?.warn(`occ.${kind}`, about);
      }
    }
    if (message.type === 'MTU_REPLY') this.#mtuTest?.handleReply(message, counters());
    return occAnswer(message, { optionsString, tunMtu, shape: this.#shape, counters: counters() });
  }

  /** @returns what is to be sent now */
  handleTimeout(now: Instant): readonly OccMessage[] {
    const messages: OccMessage[] = [];
    if (now >= this.#nextRequest) {
      this.#nextRequest = now + REQUEST_INTERVAL_MS;
      if (this.#requests > MAX_REQUESTS) {
        this.#nextRequest = NEVER;
        this.#options.log?.info('occ.no-reply');
      } else {
        this.#requests += 1;
        messages.push({ type: 'REQUEST' });
      }
    }
    const step = this.#shape && this.#mtuTest?.handleTimeout(now, this.#options.tunMtu, this.#shape);
    if (step !== undefined) messages.push(step);
    return messages;
  }

  nextTimeout(): Instant {
    return earliest(this.#nextRequest, this.#mtuTest?.nextTimeout() ?? NEVER);
  }
}
