import { type Instant, type Log, silentLog } from '@openvpnd/sans-io';
import { AckList } from './ack-list.js';
import type { MessageId } from './message-id.js';
import { ReceiveWindow, type Reception } from './receive-window.js';
import { OPENVPN_TIMING, type RetransmitTiming } from './retransmit-timing.js';
import { type Outgoing, SendWindow } from './send-window.js';

/** What a {@link ReliableChannel} is made with. Everything has OpenVPN's value as default. */
export interface ReliableChannelOptions {
  /** Messages that may be unacknowledged at a time; 1 … 2^30, default 6. */
  readonly sendWindow?: number;
  /** Ids that are buffered while one before them is missing; 1 … 2^30, default 12. */
  readonly receiveWindow?: number;
  /** Default {@link OPENVPN_TIMING}. */
  readonly timing?: RetransmitTiming;
  /** Id of the first message sent; default 0. */
  readonly nextSendId?: MessageId;
  /** Id of the first message expected; default 0. */
  readonly nextReceiveId?: MessageId;
  readonly log?: Log;
}

/**
 * One end of an ordered, reliable exchange of messages over a carrier that loses, doubles and reorders them. It makes no
 * packets: the owner carries id, message and acknowledgements over in whatever form it likes, and asks again after each
 * input what is to be sent. Memory is bounded by the two windows, whatever the peer does.
 *
 * OpenVPN: struct reliable, struct reliable_ack.
 *
 * @typeParam M a message; it is held, never copied nor read.
 */
export class ReliableChannel<M> {
  readonly #send: SendWindow<M>;
  readonly #receive: ReceiveWindow<M>;
  readonly #acks: AckList;

  /** @throws RangeError when a window is not a positive integer. */
  constructor(options: ReliableChannelOptions = {}) {
    const sendWindow = checkedWindow(options.sendWindow ?? 6);
    const receiveWindow = checkedWindow(options.receiveWindow ?? 12);
    const timing = options.timing ?? OPENVPN_TIMING;
    this.#send = new SendWindow(sendWindow, options.nextSendId ?? 0, timing, options.log ?? silentLog);
    this.#receive = new ReceiveWindow(receiveWindow, options.nextReceiveId ?? 0);
    this.#acks = new AckList(receiveWindow);
  }

  /** Whether {@link send} takes a message now. */
  canSend(): boolean {
    return this.#send.available > 0;
  }

  /** Messages that {@link send} takes now: 0 … sendWindow. */
  sendCapacity(): number {
    return this.#send.available;
  }

  /**
   * Gives `message` the next id and makes it due at once.
   *
   * @throws RangeError when the window is full, see {@link canSend}.
   */
  send(now: Instant, message: M): MessageId {
    return this.#send.add(now, message);
  }

  /** The peer acknowledged `ids`. Unknown and repeated ones do no harm. */
  handleAcks(now: Instant, ids: readonly MessageId[]): void {
    this.#send.handleAcks(now, ids);
  }

  /** The peer sent `message` as `id`. The message is held only if it is accepted. */
  handleMessage(_now: Instant, id: MessageId, message: M): Reception {
    const reception = this.#receive.put(id, message);
    if (reception !== 'out-of-window') {
      this.#acks.add(id);
    }
    return reception;
  }

  /** Removes and returns the next message in order, or undefined while it is missing. Taking it makes room in the window. */
  takeMessage(): M | undefined {
    return this.#receive.take();
  }

  /** Whether {@link takeMessage} has a message. */
  messageReady(): boolean {
    return this.#receive.ready;
  }

  /** The oldest message that has to go out at `now`, first or again, and marks it as sent. Ask until undefined. */
  takeOutgoing(now: Instant): Outgoing<M> | undefined {
    return this.#send.takeDue(now);
  }

  /** The acknowledgements for the next packet, `max` at most: new ones first, then the last ones again. */
  takeAcks(max: number): MessageId[] {
    return this.#acks.take(max);
  }

  /** Whether a received message was not acknowledged yet. */
  acksPending(): boolean {
    return this.#acks.pending;
  }

  /** Makes everything that is unacknowledged due at once and forgets its back-off. OpenVPN: reliable_schedule_now(). */
  rescheduleAll(now: Instant): void {
    this.#send.rescheduleAll(now);
  }

  /** Whether the peer has acknowledged everything that was sent. */
  allAcked(): boolean {
    return this.#send.empty;
  }

  /** When {@link takeOutgoing} has something next. */
  nextTimeout(): Instant {
    return this.#send.nextTimeout();
  }

  /** Lets go of all messages, sent and received. */
  clear(): void {
    this.#send.clear();
    this.#receive.clear();
  }
}

function checkedWindow(size: number): number {
  if (!Number.isInteger(size) || size < 1 || size > 2 ** 30) {
    throw new RangeError(`a window must be an integer from 1 to 2^30: ${size}`);
  }
  return size;
}
