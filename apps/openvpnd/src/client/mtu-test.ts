import type { PeerCounters } from '@openvpnd/data-channel';
import { type DataPacketShape, sealedBytesOf } from '@openvpnd/keygen';
import { type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { OccMessage } from '@openvpnd/wire';
import { mtuLoad } from '../occ-answer.js';

/** Between two steps. OpenVPN: OCC_MTU_LOAD_INTERVAL_SECONDS. */
const STEP_MS = 3000;
/** How much smaller than a full packet the loads are, one size after the other. The largest comes last: nothing is learned of sizes beyond the first that is lost. */
const SMALLER_BY: readonly number[] = [1000, 750, 500, 400, 300, 200, 150, 100, 50, 0];
/** Each size is asked for and sent as often: a lost packet is no proof. */
const TRIES = 3;
/** Questions for the result at the end. */
const RESULT_TRIES = 5;
/** Least tun-mtu. */
const SMALLEST_MTU = 100;

/**
 * --mtu-test: asks the peer for packets of growing size and sends such packets to it, for three minutes, then asks what arrived. Both ends compare the largest that was
 * sent with the largest that came. OpenVPN: check_send_occ_load_test().
 */
export class MtuTest {
  readonly #fragment: boolean;
  readonly #log: Log | undefined;
  #begun = false;
  #step = 0;
  #nextStep: Instant = NEVER;

  constructor(options: { readonly fragment: boolean; readonly log?: Log | undefined }) {
    this.#fragment = options.fragment;
    this.#log = options.log;
  }

  /** Data can pass. A second call changes nothing. */
  begin(now: Instant): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#nextStep = now + STEP_MS;
  }

  /**
   * The message of the step whose time has come.
   *
   * @param tunMtu of the tunnel: a packet of that size is the largest load
   */
  handleTimeout(now: Instant, tunMtu: number, shape: DataPacketShape): OccMessage | undefined {
    if (now < this.#nextStep) return undefined;
    this.#nextStep = now + STEP_MS;
    const step = this.#step;
    this.#step += 1;
    if (step === 0) this.#log?.info('mtu-test.begins');
    const size = Math.floor(step / (2 * TRIES));
    if (size < SMALLER_BY.length) {
      const bytes = Math.max(0, sealedBytesOf(tunMtu, shape) - (SMALLER_BY[size] ?? 0));
      return step % 2 === 0 ? { type: 'MTU_LOAD_REQUEST', bytes } : mtuLoad(bytes, tunMtu, shape);
    }
    if (step < 2 * TRIES * SMALLER_BY.length + RESULT_TRIES) return { type: 'MTU_REQUEST' };
    this.#nextStep = NEVER;
    this.#log?.warn('mtu-test.failed');
    return undefined;
  }

  nextTimeout(): Instant {
    return this.#nextStep;
  }

  /** The peer says what it sent and received; `own`: what we did. */
  handleReply(
    reply: Extract<OccMessage, { readonly type: 'MTU_REPLY' }>,
    own: Pick<PeerCounters, 'largestSent' | 'largestReceived'>,
  ): void {
    if (this.#nextStep === NEVER) return;
    this.#nextStep = NEVER;
    if (reply.largestReceived === 0 || reply.largestSent === 0) return;
    this.#log?.info('mtu-test.completed', {
      sent: own.largestSent,
      arrivedThere: reply.largestReceived,
      sentThere: reply.largestSent,
      arrived: own.largestReceived,
    });
    const isCut = reply.largestReceived < own.largestSent || own.largestReceived < reply.largestSent;
    if (isCut && !this.#fragment && own.largestSent > SMALLEST_MTU) {
      this.#log?.warn('mtu-test.too-large', { bytes: own.largestSent });
    }
  }
}
