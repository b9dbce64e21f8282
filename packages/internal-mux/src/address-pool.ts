import { FreeList } from './free-list.js';
import { formatInnerAddress, type InnerAddress } from './inner-address.js';

/** As many addresses as a pool may hold. OpenVPN: IFCONFIG_POOL_MAX. */
export const MAX_POOL_ADDRESSES = 65_536;

export interface AddressPoolOptions {
  /** `--ifconfig-pool start end`. With `net30` the start is aligned to four addresses. */
  readonly ipv4?: {
    readonly topology: 'subnet' | 'net30' | 'p2p';
    readonly start: InnerAddress;
    readonly end: InnerAddress;
  };
  /** `--ifconfig-ipv6-pool start/bits`: the pool ends with the network. */
  readonly ipv6?: { readonly start: InnerAddress; readonly bits: number };
  /** `--duplicate-cn`: a common name has no address of its own, the one that is free longest is taken. */
  readonly duplicateCommonNames?: boolean;
}

/** Addresses given to one peer. Returned to the pool by their index. */
export interface AddressLease {
  readonly index: number;
  /** The client's own address. */
  readonly ipv4?: InnerAddress;
  /** With `net30` the other usable address of the client's /30, the server's end; otherwise absent. */
  readonly ipv4Peer?: InnerAddress;
  readonly ipv6?: InnerAddress;
}

/** Who had which addresses last: what `--ifconfig-pool-persist` writes. */
export interface PoolEntry {
  readonly commonName: string;
  readonly lease: AddressLease;
  readonly inUse: boolean;
}

/**
 * The addresses that a server gives to its clients, IPv4 and IPv6 together under one index. A client that comes back gets what it had, if that is free;
 * otherwise the longest free address is given, so that the addresses of those who are away last as long as possible. OpenVPN: pool.c.
 */
export class AddressPool {
  /** How many clients it serves at once. */
  readonly size: number;
  readonly #ipv4: AddressPoolOptions['ipv4'];
  readonly #ipv6: AddressPoolOptions['ipv6'];
  readonly #duplicateCommonNames: boolean;
  readonly #free: FreeList;
  readonly #state: Uint8Array<ArrayBuffer>;
  /** Those that are never given to another than their owner; not in the list of the free ones. */
  readonly #fixed: Set<number> = new Set();
  /** The last owner of each index. */
  readonly #owners: (string | undefined)[];
  /** The index that each common name had last; at most one for each index. */
  readonly #indexOf: Map<string, number> = new Map();

  /**
   * @throws RangeError when a range is empty, misaligned or larger than {@link MAX_POOL_ADDRESSES}
   */
  constructor(options: AddressPoolOptions) {
    this.#ipv4 = options.ipv4;
    this.#ipv6 = options.ipv6;
    this.#duplicateCommonNames = options.duplicateCommonNames ?? false;
    const sizes: number[] = [];
    if (options.ipv4) sizes.push(ipv4Size(options.ipv4));
    if (options.ipv6) sizes.push(ipv6Size(options.ipv6));
    if (sizes.length === 0) throw new RangeError('a pool has IPv4 or IPv6 addresses');
    this.size = Math.min(...sizes);
    this.#free = new FreeList(this.size);
    this.#state = new Uint8Array(this.size);
    this.#owners = new Array<string | undefined>(this.size).fill(undefined);
  }

  /** Addresses that can still be given. */
  get available(): number {
    return this.#free.size;
  }

  /** Gives addresses to a client; undefined when none is left. OpenVPN: ifconfig_pool_acquire(). */
  acquire(commonName: string): AddressLease | undefined {
    const previous = this.#duplicateCommonNames ? undefined : this.#indexOf.get(commonName);
    const index = previous !== undefined && this.#state[previous] === FREE ? previous : this.#free.first;
    if (index === undefined) return undefined;
    this.#takeOut(index);
    this.#state[index] = LEASED;
    this.#setOwner(index, commonName);
    return this.lease(index);
  }

  /**
   * Takes addresses back. The client may have them again until another needs them. Returns whether they were leased.
   *
   * @param forget the client shall have no claim
   */
  release(index: number, forget = false): boolean {
    if (this.#state[index] !== LEASED) return false;
    this.#putBack(index);
    if (forget) this.#setOwner(index, undefined);
    return true;
  }

  /**
   * Keeps an address out of the pool, because somebody has it by `--ifconfig-push`.
   *
   * @returns `kept`; `outside`, when it is not of this pool; `leased`, when a client has it: the caller decides who goes
   */
  keepOut(address: InnerAddress): 'kept' | 'outside' | 'leased' {
    const index = this.indexOf(address);
    if (index === undefined) return 'outside';
    if (this.#state[index] === LEASED) return 'leased';
    if (this.#state[index] === FREE) this.#takeOut(index);
    this.#state[index] = KEPT_OUT;
    return 'kept';
  }

  /** Lets an address back in that was kept out. Returns whether it was. */
  letIn(address: InnerAddress): boolean {
    const index = this.indexOf(address);
    if (index === undefined || this.#state[index] !== KEPT_OUT) return false;
    this.#putBack(index);
    return true;
  }

  /** The index under which an address is given; undefined when it is not of this pool. */
  indexOf(address: InnerAddress): number | undefined {
    let index: number | undefined;
    if (address.length === 4 && this.#ipv4) {
      const distance = ipv4Number(address) - ipv4Number(this.#ipv4.start);
      index = this.#ipv4.topology === 'net30' ? Math.floor(distance / 4) : distance;
    } else if (address.length === 16 && this.#ipv6) {
      const distance = ipv6Number(address) - ipv6Number(this.#ipv6.start);
      index = distance < 0n || distance > BigInt(MAX_POOL_ADDRESSES) ? -1 : Number(distance);
    }
    return index !== undefined && index >= 0 && index < this.size ? index : undefined;
  }

  /** The addresses of an index, fresh. */
  lease(index: number): AddressLease {
    const lease: { index: number; ipv4?: InnerAddress; ipv4Peer?: InnerAddress; ipv6?: InnerAddress } = { index };
    if (this.#ipv4) {
      const start = ipv4Number(this.#ipv4.start);
      if (this.#ipv4.topology === 'net30') {
        // Of four addresses the first is the network, the second the server's end, the third the client's, the fourth the broadcast.
        lease.ipv4Peer = ipv4Bytes(start + 4 * index + 1);
        lease.ipv4 = ipv4Bytes(start + 4 * index + 2);
      } else {
        lease.ipv4 = ipv4Bytes(start + index);
      }
    }
    if (this.#ipv6) lease.ipv6 = ipv6Bytes(ipv6Number(this.#ipv6.start) + BigInt(index));
    return lease;
  }

  /** Whoever has or had addresses, in the order of the addresses. */
  entries(): readonly PoolEntry[] {
    const entries: PoolEntry[] = [];
    for (const [index, commonName] of this.#owners.entries()) {
      if (commonName === undefined) continue;
      entries.push({ commonName, lease: this.lease(index), inUse: this.#state[index] === LEASED });
    }
    return entries;
  }

  /**
   * Gives a common name a claim to addresses it had in an earlier life; as `--ifconfig-pool-persist` reads it.
   *
   * @param fixed nobody else ever gets them (a file that is only read: `--ifconfig-pool-persist file 0`)
   * @returns false when the address is not of this pool, in use or claimed: nothing changed
   */
  restore(commonName: string, address: InnerAddress, fixed = false): boolean {
    const index = this.indexOf(address);
    if (index === undefined || this.#state[index] === LEASED || this.#owners[index] !== undefined) return false;
    if (this.#indexOf.has(commonName)) return false;
    this.#setOwner(index, commonName);
    if (this.#state[index] === FREE) {
      // Those without a claimant are given first.
      this.#free.remove(index);
      if (fixed) this.#fixed.add(index);
      else this.#free.push(index);
    }
    return true;
  }

  #takeOut(index: number): void {
    if (!this.#fixed.has(index)) this.#free.remove(index);
  }

  #putBack(index: number): void {
    this.#state[index] = FREE;
    if (!this.#fixed.has(index)) this.#free.push(index);
  }

  #setOwner(index: number, commonName: string | undefined): void {
    const before = this.#owners[index];
    if (before === commonName) return;
    if (before !== undefined && this.#indexOf.get(before) === index) this.#indexOf.delete(before);
    this.#owners[index] = commonName;
    if (commonName === undefined || this.#duplicateCommonNames) return;
    const earlier = this.#indexOf.get(commonName);
    if (earlier !== undefined && this.#state[earlier] !== LEASED) this.#owners[earlier] = undefined;
    this.#indexOf.set(commonName, index);
  }
}

const FREE = 0;
const LEASED = 1;
const KEPT_OUT = 2;

function ipv4Size(range: NonNullable<AddressPoolOptions['ipv4']>): number {
  if (range.start.length !== 4 || range.end.length !== 4) throw new RangeError('not IPv4 addresses');
  const [start, end] = [ipv4Number(range.start), ipv4Number(range.end)];
  const shown = `${formatInnerAddress(range.start)} … ${formatInnerAddress(range.end)}`;
  if (range.topology === 'net30' && start % 4 !== 0)
    throw new RangeError(`a net30 pool starts at a multiple of four: ${shown}`);
  const count = range.topology === 'net30' ? Math.floor((end + 1 - start) / 4) : end + 1 - start;
  if (count < 1 || count > MAX_POOL_ADDRESSES)
    throw new RangeError(`a pool holds 1 … ${MAX_POOL_ADDRESSES} addresses: ${shown}`);
  return count;
}

function ipv6Size(range: NonNullable<AddressPoolOptions['ipv6']>): number {
  if (range.start.length !== 16) throw new RangeError('not an IPv6 address');
  if (!Number.isInteger(range.bits) || range.bits < 1 || range.bits > 127)
    throw new RangeError(`no such prefix length: ${range.bits}`);
  const networkSize = 1n << BigInt(128 - range.bits);
  const left = networkSize - (ipv6Number(range.start) % networkSize);
  return left > BigInt(MAX_POOL_ADDRESSES) ? MAX_POOL_ADDRESSES : Number(left);
}

function ipv4Number(address: InnerAddress): number {
  return ((address[0] << 24) | (address[1] << 16) | (address[2] << 8) | address[3]) >>> 0;
}

function ipv4Bytes(number: number): InnerAddress {
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}

function ipv6Number(address: InnerAddress): bigint {
  let number = 0n;
  for (const byte of address) number = (number << 8n) | BigInt(byte);
  return number;
}

function ipv6Bytes(number: bigint): InnerAddress {
  const bytes = new Uint8Array(16);
  let rest = number;
  for (let index = 15; index >= 0; index -= 1) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
