import type { ReliableChannel, RetransmitTiming } from '@openvpnd/reliability';

/** What goes over the carrier: OpenVPN's packet without its envelope. */
interface Packet {
  readonly acks: readonly number[];
  readonly id: number | undefined;
  readonly message: number;
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Faults {
  readonly seed: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMs: number;
  /** Each packet takes up to this much longer than `delayMs`, so packets overtake each other. */
  readonly jitterMs: number;
  readonly timing: RetransmitTiming;
}

/** One end: sends 0, 1, 2, … and notes what arrives. */
export class End {
  readonly channel: ReliableChannel<number>;
  readonly received: number[] = [];
  readonly #total: number;
  #next = 0;

  constructor(channel: ReliableChannel<number>, total: number) {
    this.channel = channel;
    this.#total = total;
  }

  get done(): boolean {
    return this.#next === this.#total && this.channel.allAcked();
  }

  handle(now: number, packet: Packet): void {
    this.channel.handleAcks(now, packet.acks);
    if (packet.id !== undefined) {
      this.channel.handleMessage(now, packet.id, packet.message);
    }
    for (let message = this.channel.takeMessage(); message !== undefined; message = this.channel.takeMessage()) {
      this.received.push(message);
    }
  }

  takePackets(now: number): Packet[] {
    while (this.#next < this.#total && this.channel.canSend()) {
      this.channel.send(now, this.#next);
      this.#next += 1;
    }
    const packets: Packet[] = [];
    for (let out = this.channel.takeOutgoing(now); out !== undefined; out = this.channel.takeOutgoing(now)) {
      packets.push({ acks: this.channel.takeAcks(4), id: out.id, message: out.message });
    }
    while (this.channel.acksPending()) {
      packets.push({ acks: this.channel.takeAcks(8), id: undefined, message: -1 });
    }
    return packets;
  }
}

/** Runs both ends until both are done or `limitMs` have passed; returns the time and the packets that were sent. */
export function run(a: End, b: End, faults: Faults, limitMs: number): { elapsedMs: number; packets: number } {
  const random = seeded(faults.seed);
  let flying: { at: number; to: End; packet: Packet }[] = [];
  let now = 0;
  let packets = 0;
  while (now <= limitMs) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const packet of from.takePackets(now)) {
        packets += 1;
        for (let copy = random() < faults.duplicate ? 2 : 1; copy > 0; copy -= 1) {
          if (random() >= faults.loss) {
            flying.push({ at: now + faults.delayMs + random() * faults.jitterMs, to, packet });
          }
        }
      }
    }
    if (a.done && b.done) {
      return { elapsedMs: now, packets };
    }
    const arrivals = flying.map(({ at }) => at);
    now = Math.min(...arrivals, a.channel.nextTimeout(), b.channel.nextTimeout());
    for (const { to, packet } of flying.filter(({ at }) => at <= now).sort((x, y) => x.at - y.at)) {
      to.handle(now, packet);
    }
    flying = flying.filter(({ at }) => at > now);
  }
  return { elapsedMs: Number.POSITIVE_INFINITY, packets };
}
