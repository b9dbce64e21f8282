import {
  ControlTls,
  type ControlTlsAction,
  type ControlTlsOptions,
  type TlsEngineFactory,
} from '@openvpnd/control-tls';
import { FakeTlsFactory, SeededRandom } from '@openvpnd/testkit';
import {
  type ControlPacket,
  emitControlPacket,
  opcodeName,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_SERVER_V2,
  parseControlPacket,
} from '@openvpnd/wire';

export const CLIENT_SESSION: Uint8Array = Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1);
export const SERVER_SESSION: Uint8Array = Uint8Array.of(2, 2, 2, 2, 2, 2, 2, 2);

/** Wrapping that appends a counter, so that a test sees whether a packet was wrapped anew. */
export class CountingWrap {
  readonly name = 'tls-auth';
  readonly overheadBytes: number = 4;
  readonly seen = new Set<number>();
  #next = 1;

  wrap(packet: Uint8Array): Uint8Array {
    const wrapped = new Uint8Array(packet.length + 4);
    wrapped.set(packet);
    new DataView(wrapped.buffer).setUint32(packet.length, this.#next);
    this.#next += 1;
    return wrapped;
  }

  /** The packet inside; throws for bytes that were wrapped once and sent twice. */
  unwrap(bytes: Uint8Array): ControlPacket {
    const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4);
    if (this.seen.has(id)) throw new Error(`packet ${id} was sent twice`);
    this.seen.add(id);
    const parsed = parseControlPacket(bytes.subarray(0, bytes.length - 4));
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  }
}

/** One ControlTls with everything it wanted. */
export class Side {
  readonly control: ControlTls;
  readonly actions: ControlTlsAction[] = [];
  readonly wrap: CountingWrap = new CountingWrap();
  /** Packets it sent, unwrapped. */
  readonly sent: ControlPacket[] = [];
  readonly sizes: number[] = [];
  woken = false;
  #taken = 0;

  constructor(role: 'client' | 'server', engines: TlsEngineFactory, options: Partial<ControlTlsOptions> = {}) {
    const isClient = role === 'client';
    this.control = new ControlTls({
      role,
      keyId: 0,
      localSessionId: isClient ? CLIENT_SESSION : SERVER_SESSION,
      wrap: this.wrap,
      engine: engines.create({
        role,
        wake: () => {
          this.woken = true;
        },
      }),
      startOpcode: isClient ? P_CONTROL_HARD_RESET_CLIENT_V2 : P_CONTROL_HARD_RESET_SERVER_V2,
      ...options,
    });
  }

  take(actions: readonly ControlTlsAction[]): readonly ControlTlsAction[] {
    for (const action of actions) {
      this.actions.push(action);
      if (action.type === 'send') {
        this.sizes.push(action.packet.length);
        this.sent.push(this.wrap.unwrap(action.packet));
      }
    }
    return actions;
  }

  /** Packets sent since the last call. */
  takeSent(): ControlPacket[] {
    const packets = this.sent.slice(this.#taken);
    this.#taken = this.sent.length;
    return packets;
  }

  all<T extends ControlTlsAction['type']>(type: T): Extract<ControlTlsAction, { type: T }>[] {
    return this.actions.filter((action): action is Extract<ControlTlsAction, { type: T }> => action.type === type);
  }
}

/** `HARD_RESET_CLIENT_V2 0 [] 0`: opcode, message id, acks, payload length. */
export function summary({ opcode, messageId, acks, payload }: ControlPacket): string {
  return `${opcodeName(opcode).replace(/^P_(CONTROL_)?/, '')} ${messageId ?? '-'} [${acks.join(',')}] ${payload.length}`;
}

/** Carries everything both ways at one instant, nothing lost, until nothing moves. */
export function exchange(now: number, a: Side, b: Side): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const packet of from.takeSent()) {
        moved = true;
        to.take(to.control.handlePacket(now, packet));
      }
    }
  }
}

/** Two sides whose TLS is up. */
export function connected(
  options: { client?: Partial<ControlTlsOptions>; server?: Partial<ControlTlsOptions> } = {},
): [Side, Side] {
  const client = new Side('client', new FakeTlsFactory({ seed: 1 }), options.client);
  const server = new Side('server', new FakeTlsFactory({ seed: 2 }), options.server);
  client.take(client.control.start(0));
  exchange(0, client, server);
  return [client, server];
}

export interface Faults {
  readonly seed: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly corrupt: number;
  readonly delayMs: number;
  readonly jitterMs: number;
}

/** Runs both sides in virtual time over a bad carrier until `done` or `limitMs`; returns the time. */
export function simulate(
  a: Side,
  b: Side,
  faults: Faults,
  limitMs: number,
  step: (now: number) => void,
  done: () => boolean,
): number {
  const random = new SeededRandom(faults.seed);
  let flying: { at: number; to: Side; bytes: Uint8Array }[] = [];
  let now = 0;
  for (;;) {
    step(now);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      if (from.control.nextTimeout() <= now) from.take(from.control.handleTimeout(now));
      for (const packet of from.takeSent()) {
        for (let copies = random.fraction() < faults.duplicate ? 2 : 1; copies > 0; copies -= 1) {
          if (random.fraction() < faults.loss) continue;
          const bytes = emitControlPacket(packet);
          // What is corrupted does not pass the wrapping, or it would kill the session: that is what wrapping is for.
          if (random.fraction() < faults.corrupt) continue;
          flying.push({ at: now + faults.delayMs + random.fraction() * faults.jitterMs, to, bytes });
        }
      }
    }
    if (done()) return now;
    now = Math.min(...flying.map(({ at }) => at), a.control.nextTimeout(), b.control.nextTimeout());
    if (now > limitMs) return Number.POSITIVE_INFINITY;
    const arrivals = flying.filter(({ at }) => at <= now).sort((x, y) => x.at - y.at);
    flying = flying.filter(({ at }) => at > now);
    for (const { to, bytes } of arrivals) {
      const parsed = parseControlPacket(bytes);
      if (parsed.ok) to.take(to.control.handlePacket(now, parsed.value));
    }
  }
}
