import type { Instant } from '@openvpnd/sans-io';
import type { InstanceState, MultiInstance } from './multi-instance.js';
import { SlotAllocator } from './slot-allocator.js';

/** Peer ids have 24 bits, and the last of them means none. */
const MAX_SLOTS = 0xffffff;

export interface MultiContextOptions {
  /** `--max-clients`: half-open and established ones together. Slots are 0 … maxInstances - 1. */
  readonly maxInstances: number;
  /** Half-open ones alone. Absent: as many as there are slots. */
  readonly maxHalfOpen?: number;
  /** `--duplicate-cn`: one common name may have several clients. */
  readonly duplicateCommonNames?: boolean;
  /** How long a slot rests before it is used again, in milliseconds; see SLOT_REST_MS. */
  readonly slotRestMs?: number;
}

/** A slot for a newcomer. */
export interface Allocation<Modules> {
  /** Undefined: the server is full of established clients, or the address has an instance. */
  readonly slot: number | undefined;
  /** The oldest half-open client, which had to go. It is removed already; its modules are the caller's to free. */
  readonly evicted: MultiInstance<Modules> | undefined;
}

/**
 * All clients of a server: gives them slots, finds them by slot, address or common name, and decides who goes when there is no room. It holds their modules and never
 * looks into them. OpenVPN: struct multi_context, multi_create_instance(), multi_close_instance().
 */
export class MultiContext<Modules> {
  readonly maxInstances: number;
  readonly #maxHalfOpen: number;
  readonly #duplicateCommonNames: boolean;
  readonly #slots: SlotAllocator;
  /** Allocated slots, with or without modules yet. */
  readonly #bySlot: (Instance<Modules> | undefined)[];
  readonly #byAddress: Map<string, Instance<Modules>> = new Map();
  readonly #byCommonName: Map<string, Set<Instance<Modules>>> = new Map();
  /** In the order of their allocation. */
  readonly #halfOpen: Set<Instance<Modules>> = new Set();

  /** @throws RangeError when a number is out of range */
  constructor(options: MultiContextOptions) {
    const { maxInstances } = options;
    const maxHalfOpen = options.maxHalfOpen ?? maxInstances;
    if (!Number.isInteger(maxInstances) || maxInstances < 1 || maxInstances > MAX_SLOTS) {
      throw new RangeError(`a server has 1 … ${MAX_SLOTS} slots`);
    }
    if (!Number.isInteger(maxHalfOpen) || maxHalfOpen < 1) throw new RangeError('a newcomer is half-open at first');
    this.maxInstances = maxInstances;
    this.#maxHalfOpen = maxHalfOpen;
    this.#duplicateCommonNames = options.duplicateCommonNames ?? false;
    this.#slots = new SlotAllocator({ slots: maxInstances, restMs: options.slotRestMs });
    this.#bySlot = new Array<Instance<Modules> | undefined>(maxInstances).fill(undefined);
  }

  /** Half-open and established clients. */
  get size(): number {
    return this.#byAddress.size;
  }

  get halfOpenCount(): number {
    return this.#halfOpen.size;
  }

  /**
   * Reserves a slot for a newcomer, who is half-open until `establish`. When there is no room the oldest half-open client goes; an established one never does. The
   * caller makes the modules and hands them to `add`, or gives the slot back with `remove`.
   *
   * @param address its words are copied
   */
  allocate(now: Instant, address: Uint32Array, protocol: 'udp' | 'tcp' = 'udp'): Allocation<Modules> {
    const key = keyOf(address);
    if (this.#byAddress.has(key)) return { slot: undefined, evicted: undefined };
    let evicted: MultiInstance<Modules> | undefined;
    if (this.#slots.available === 0 || this.#halfOpen.size >= this.#maxHalfOpen) {
      const [oldest] = this.#halfOpen;
      if (oldest === undefined) return { slot: undefined, evicted: undefined };
      this.#remove(oldest);
      if (isComplete(oldest)) evicted = oldest;
    }
    const slot = this.#slots.take(now);
    if (slot === undefined) return { slot: undefined, evicted };
    const instance: Instance<Modules> = {
      mode: protocol === 'udp' ? 'CM_CHILD_UDP' : 'CM_CHILD_TCP',
      slot,
      since: now,
      modules: undefined,
      address: address.slice(),
      commonName: undefined,
      state: 'half-open',
    };
    this.#bySlot[slot] = instance;
    this.#byAddress.set(key, instance);
    this.#halfOpen.add(instance);
    return { slot, evicted };
  }

  /**
   * Gives the modules of an allocated slot.
   *
   * @throws Error when the slot is not allocated or has its modules
   */
  add(slot: number, modules: Modules): MultiInstance<Modules> {
    const instance = this.#bySlot[slot];
    if (instance === undefined || instance.modules !== undefined) throw new Error(`slot ${slot} was not allocated`);
    instance.modules = modules;
    return complete(instance);
  }

  /** Takes a client out and frees its slot. Returns it; undefined when there was none, or no modules yet. */
  remove(slot: number): MultiInstance<Modules> | undefined {
    const instance = this.#bySlot[slot];
    if (instance === undefined) return undefined;
    this.#remove(instance);
    return isComplete(instance) ? instance : undefined;
  }

  bySlot(slot: number): MultiInstance<Modules> | undefined {
    return visible(this.#bySlot[slot]);
  }

  byAddress(address: Uint32Array): MultiInstance<Modules> | undefined {
    return visible(this.#byAddress.get(keyOf(address)));
  }

  /** All clients of that name, the oldest first; a copy. */
  byCommonName(commonName: string): readonly MultiInstance<Modules>[] {
    return [...(this.#byCommonName.get(commonName) ?? [])].filter(isComplete);
  }

  /** All clients in the order of their slots. The iteration bears removals. */
  *instances(): IterableIterator<MultiInstance<Modules>> {
    for (const instance of this.#bySlot) {
      if (instance !== undefined && isComplete(instance)) yield instance;
    }
  }

  /**
   * A client has proven its name.
   *
   * @returns the clients of the same name that have to go now: all others, unless `--duplicate-cn`. They are not removed yet.
   */
  setCommonName(slot: number, commonName: string): readonly MultiInstance<Modules>[] {
    const instance = this.#require(slot);
    this.#forgetName(instance);
    const others = this.#duplicateCommonNames ? [] : this.byCommonName(commonName);
    instance.commonName = commonName;
    const sharers = this.#byCommonName.get(commonName);
    if (sharers === undefined) this.#byCommonName.set(commonName, new Set([instance]));
    else sharers.add(instance);
    return others;
  }

  /** A client is authenticated and has keys: from now on no newcomer can push it out. Again: nothing. */
  establish(slot: number): void {
    const instance = this.#require(slot);
    instance.state = 'established';
    this.#halfOpen.delete(instance);
  }

  /** A client has floated. Returns false when another one has the address: nothing changed. */
  setAddress(slot: number, address: Uint32Array): boolean {
    const instance = this.#require(slot);
    const key = keyOf(address);
    const holder = this.#byAddress.get(key);
    if (holder !== undefined) return holder === instance;
    this.#byAddress.delete(keyOf(instance.address));
    instance.address = address.slice();
    this.#byAddress.set(key, instance);
    return true;
  }

  #remove(instance: Instance<Modules>): void {
    this.#bySlot[instance.slot] = undefined;
    this.#byAddress.delete(keyOf(instance.address));
    this.#halfOpen.delete(instance);
    this.#forgetName(instance);
    this.#slots.release(instance.slot);
  }

  #forgetName(instance: Instance<Modules>): void {
    if (instance.commonName === undefined) return;
    const sharers = this.#byCommonName.get(instance.commonName);
    sharers?.delete(instance);
    if (sharers?.size === 0) this.#byCommonName.delete(instance.commonName);
  }

  #require(slot: number): Instance<Modules> {
    const instance = this.#bySlot[slot];
    if (instance === undefined) throw new RangeError(`slot ${slot} has no instance`);
    return instance;
  }
}

/** A MultiInstance that may be written, and may still lack its modules. */
interface Instance<Modules> {
  readonly mode: 'CM_CHILD_UDP' | 'CM_CHILD_TCP';
  readonly slot: number;
  readonly since: Instant;
  modules: Modules | undefined;
  address: Uint32Array;
  commonName: string | undefined;
  state: InstanceState;
}

function isComplete<Modules>(instance: Instance<Modules>): instance is Instance<Modules> & MultiInstance<Modules> {
  return instance.modules !== undefined;
}

function visible<Modules>(instance: Instance<Modules> | undefined): MultiInstance<Modules> | undefined {
  return instance !== undefined && isComplete(instance) ? instance : undefined;
}

function complete<Modules>(instance: Instance<Modules>): MultiInstance<Modules> {
  if (!isComplete(instance)) throw new TypeError('modules are an object');
  return instance;
}

function keyOf(address: Uint32Array): string {
  return address.join();
}
