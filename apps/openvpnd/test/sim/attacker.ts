import type { LinkAddress } from '@openvpnd/memory';
import type { SeededRandom, SimLink } from '@openvpnd/testkit';
import { emitControlPacket } from '@openvpnd/wire';
import type { SimWorld } from './sim-world.js';

/** Somebody who can send packets with any source address, and has copies of what others sent. */
export class Attacker {
  readonly random: SeededRandom;
  readonly #world: SimWorld;
  /** Packets seen on the wire, the latest thousand. */
  readonly seen: Uint8Array[] = [];
  sent = 0;

  constructor(world: SimWorld) {
    this.#world = world;
    this.random = world.random.fork('attacker');
  }

  /** Begins to copy what is on the wire. */
  listen(): void {
    this.#world.network.tap((packet) => {
      if (this.seen.length >= 1000) this.seen[this.random.below(1000)] = packet.slice();
      else this.seen.push(packet.slice());
    });
  }

  /** Calls `make` that often in the coming seconds, evenly, and sends what it gives from that address to a link. */
  flood(
    count: number,
    seconds: number,
    to: SimLink,
    from: LinkAddress | (() => LinkAddress),
    make: () => Uint8Array,
  ): void {
    const { clock, network } = this.#world;
    const begin = clock.now();
    for (let index = 0; index < count; index += 1) {
      clock.schedule(begin + (index * seconds * 1000) / count, () => {
        this.sent += 1;
        network.spoof(make(), typeof from === 'function' ? from() : from, to);
      });
    }
  }

  /** An opening packet with a session id that nobody has. */
  reset(opcode: number): Uint8Array {
    const sessionId = this.bytes(8);
    return emitControlPacket({ opcode, keyId: 0, sessionId, acks: [], messageId: 0, payload: new Uint8Array(0) });
  }

  /** Anything, of any length; half of it with a first byte that means something. */
  garbage(): Uint8Array {
    const bytes = this.bytes(this.random.below(this.random.chance(0.2) ? 1500 : 80));
    if (bytes.length > 0 && this.random.chance(0.5)) bytes[0] = ((1 + this.random.below(11)) << 3) | (bytes[0] & 7);
    return bytes;
  }

  /** A real packet with some bits changed, cut off, or made longer. */
  mutant(): Uint8Array {
    const original = this.seen[this.random.below(this.seen.length)] ?? this.garbage();
    switch (this.random.below(4)) {
      case 0:
        return original.slice(0, this.random.below(original.length + 1));
      case 1: {
        const longer = new Uint8Array(original.length + 1 + this.random.below(64));
        longer.set(original);
        return longer;
      }
      case 2: {
        // The header above all: opcode, key id, peer id or session id, counts.
        const changed = original.slice();
        if (changed.length > 0) changed[this.random.below(Math.min(24, changed.length))] = this.random.below(256);
        return changed;
      }
      default: {
        const changed = original.slice();
        for (let flips = 1 + this.random.below(8); flips > 0 && changed.length > 0; flips -= 1) {
          changed[this.random.below(changed.length)] ^= 1 << this.random.below(8);
        }
        return changed;
      }
    }
  }

  /** A copy of a real packet. */
  copy(): Uint8Array {
    return this.seen[this.random.below(this.seen.length)] ?? this.garbage();
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.random.fill(bytes);
    return bytes;
  }
}
