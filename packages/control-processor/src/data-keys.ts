import { earliest, type Instant, NEVER } from '@openvpnd/sans-io';
import type { ControlAction } from './control-action.js';
import type { KeyState } from './key-state.js';
import type { NegotiatedOptions } from './negotiated-options.js';

interface Installed {
  readonly keyState: KeyState;
  /** The peer has sealed a packet with it. */
  inUse: boolean;
}

/**
 * The data channel keys that are installed for a peer, and which of them we send with.
 *
 * An older key is kept for sending until the newer one's `preferredFrom`, since the peer may still be deciding whether it
 * lets us in (deferred authentication), or until the peer itself has used the newer one, which proves that it can.
 * OpenVPN: tls_select_encryption_key().
 */
export class DataKeys {
  /** Oldest first. Three at most: the one in use, its predecessor, and the predecessor's until the newest is made. */
  #installed: Installed[] = [];
  #sendingWith: KeyState | undefined;
  #nextChoiceAt: Instant = NEVER;

  /** Whether anything can be sent. */
  get ready(): boolean {
    return this.#sendingWith !== undefined;
  }

  has(keyState: KeyState): boolean {
    return this.#installed.some((entry) => entry.keyState === keyState);
  }

  /** Makes the peer's packets under this key readable. A key with the same id, of an earlier session, goes. */
  install(keyState: KeyState, negotiated: NegotiatedOptions, out: ControlAction[]): void {
    const { keys, keyId } = keyState;
    if (!keys || this.has(keyState)) return;
    const namesake = this.#installed.find((entry) => entry.keyState.keyId === keyId);
    if (namesake) this.retire(namesake.keyState, out);
    this.#installed = [...this.#installed, { keyState, inUse: false }];
    const { peerId, epochKeys } = negotiated;
    out.push({ type: 'install-keys', keyId, keys, peerId, epoch: epochKeys });
  }

  /** Forgets a key, if it is installed, and zeroes it with everything else of its key state. */
  retire(keyState: KeyState, out: ControlAction[]): void {
    if (this.has(keyState)) {
      this.#installed = this.#installed.filter((entry) => entry.keyState !== keyState);
      out.push({ type: 'retire-keys', keyId: keyState.keyId });
    }
    if (this.#sendingWith === keyState) this.#sendingWith = undefined;
    keyState.close();
  }

  /** The peer has sealed a packet with this key. */
  markInUse(keyId: number): void {
    const entry = this.#installed.find(({ keyState }) => keyState.keyId === keyId);
    if (entry) entry.inUse = true;
  }

  /** Chooses the key to send with. */
  choose(now: Instant, out: ControlAction[]): void {
    const chosen = this.#best(now);
    this.#nextChoiceAt = NEVER;
    for (const { keyState } of this.#installed) {
      if (keyState.active && keyState.preferredFrom > now) {
        this.#nextChoiceAt = earliest(this.#nextChoiceAt, keyState.preferredFrom);
      }
    }
    if (!chosen || chosen === this.#sendingWith) return;
    this.#sendingWith = chosen;
    out.push({ type: 'send-with', keyId: chosen.keyId });
  }

  /** When `choose` may come to another result. */
  nextTimeout(): Instant {
    return this.#nextChoiceAt;
  }

  #best(now: Instant): KeyState | undefined {
    for (const { keyState, inUse } of this.#installed.toReversed()) {
      if (inUse || (keyState.active && now >= keyState.preferredFrom)) return keyState;
    }
    // None has come of age: stay with what works, or begin with the newest.
    return this.#sendingWith ?? this.#installed.findLast(({ keyState }) => keyState.active)?.keyState;
  }
}
