import type { ClientConfig, Options } from '@openvpnd/config';
import {
  AddressPool,
  formatInnerAddress,
  type InnerAddress,
  netmaskLength,
  type Prefix,
  parseInnerAddress,
  prefixOf,
} from '@openvpnd/internal-mux';
import { type PoolFileLine, poolFileText, readPoolFile } from './pool-file.js';
import type { VirtualAddresses } from './pushed-options.js';

/** What a client gets: its addresses, and what is routed to it (they, and the networks behind it). */
export interface Assignment {
  readonly addresses: VirtualAddresses;
  readonly routes: readonly Prefix[];
}

/** What is settled about a client's addresses before the pool is asked, and what lies behind it. */
export interface AddressWish {
  readonly ifconfig?: { readonly local: string; readonly remoteOrNetmask: string } | undefined;
  /** Without remote the server's own address is meant. */
  readonly ifconfigIpv6?:
    | { readonly local: string; readonly bits: number; readonly remote: string | undefined }
    | undefined;
  /** No IPv6 address at all. */
  readonly ifconfigIpv6Blocked?: boolean;
  readonly iroutes?: ClientConfig['iroutes'];
  readonly iroutesIpv6?: ClientConfig['iroutesIpv6'];
}

interface Holding {
  readonly lease: number | undefined;
  readonly kept: readonly InnerAddress[];
}

/**
 * Gives each client of a server its addresses: those of its own configuration, else from the pool.
 * OpenVPN: multi_select_virtual_addr(), multi_connection_established()'s routes.
 */
export class ClientAddressing {
  readonly #pool: AddressPool | undefined;
  readonly #poolFamilies: { readonly ipv4: boolean; readonly ipv6: boolean };
  readonly #topology: 'net30' | 'p2p' | 'subnet';
  readonly #netmask: string;
  readonly #serverIpv4: string;
  readonly #serverIpv6: string;
  readonly #bitsIpv6: number;
  readonly #holdings: Map<number, Holding> = new Map();

  /** @param options those of a server: `options.server` is there */
  constructor(options: Options) {
    const { server, device } = options;
    const pool = server?.pool;
    const poolIpv6 = server?.poolIpv6;
    this.#topology = device.topology;
    this.#netmask = pool?.netmask ?? device.ifconfig?.remoteOrNetmask ?? '255.255.255.255';
    this.#serverIpv4 = device.ifconfig?.local ?? '';
    this.#serverIpv6 = device.ifconfigIpv6?.local ?? '';
    this.#bitsIpv6 = poolIpv6?.bits ?? device.ifconfigIpv6?.bits ?? 128;
    this.#poolFamilies = { ipv4: pool !== undefined, ipv6: poolIpv6 !== undefined };
    if (pool === undefined && poolIpv6 === undefined) return;
    this.#pool = new AddressPool({
      ...(pool && {
        ipv4: { topology: device.topology, start: mustParse(pool.start), end: mustParse(pool.end) },
      }),
      ...(poolIpv6 && { ipv6: { start: mustParse(poolIpv6.start), bits: poolIpv6.bits } }),
      duplicateCommonNames: server?.duplicateCn ?? false,
    });
  }

  /** How many clients the pool serves at once. */
  get poolSize(): number {
    return this.#pool?.size ?? 0;
  }

  /**
   * Gives the common names in the text of a file of `--ifconfig-pool-persist` what they had. Returns lines for the log.
   *
   * @param fixed nobody else ever gets these addresses
   */
  restorePool(text: string, fixed: boolean): readonly PoolFileLine[] {
    return this.#pool === undefined ? [] : readPoolFile(this.#pool, text, fixed);
  }

  /** The text of such a file as it would be now. */
  get poolText(): string {
    return this.#pool === undefined ? '' : poolFileText(this.#pool);
  }

  /** Undefined when the pool is exhausted. A slot that has an assignment already loses it. */
  assign(slot: number, commonName: string, config: AddressWish | undefined): Assignment | undefined {
    this.release(slot);
    const ownIpv4 = config?.ifconfig;
    const ownIpv6 = config?.ifconfigIpv6;
    // An address of the pool is taken only for a family that the pool has and the client's configuration leaves open.
    const needsPool =
      (this.#poolFamilies.ipv4 && ownIpv4 === undefined) ||
      (this.#poolFamilies.ipv6 && ownIpv6 === undefined && !config?.ifconfigIpv6Blocked);
    const kept = [ownIpv4?.local, ownIpv6?.local].flatMap((text) => (text === undefined ? [] : [mustParse(text)]));
    const reserved = kept.filter((address) => this.#pool?.keepOut(address) === 'kept');
    const lease = needsPool ? this.#pool?.acquire(commonName) : undefined;
    if (needsPool && lease === undefined && ownIpv4 === undefined) {
      for (const address of reserved) this.#pool?.letIn(address);
      return undefined;
    }
    this.#holdings.set(slot, { lease: lease?.index, kept: reserved });

    let ipv4: VirtualAddresses['ipv4'];
    if (ownIpv4 !== undefined) ipv4 = { local: ownIpv4.local, remoteOrNetmask: ownIpv4.remoteOrNetmask };
    else if (lease?.ipv4 !== undefined) {
      ipv4 = { local: formatInnerAddress(lease.ipv4), remoteOrNetmask: this.#remoteOrNetmask(lease.ipv4Peer) };
    }
    let ipv6: VirtualAddresses['ipv6'];
    if (config?.ifconfigIpv6Blocked) ipv6 = undefined;
    else if (ownIpv6 !== undefined) {
      ipv6 = { local: ownIpv6.local, bits: ownIpv6.bits, remote: ownIpv6.remote ?? this.#serverIpv6 };
    } else if (lease?.ipv6 !== undefined) {
      ipv6 = { local: formatInnerAddress(lease.ipv6), bits: this.#bitsIpv6, remote: this.#serverIpv6 };
    }
    const addresses = { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) };
    return { addresses, routes: [...ownRoutes(addresses), ...networksBehind(config)] };
  }

  /** Takes back what a client has. */
  release(slot: number): void {
    const holding = this.#holdings.get(slot);
    if (holding === undefined) return;
    this.#holdings.delete(slot);
    if (holding.lease !== undefined) this.#pool?.release(holding.lease);
    for (const address of holding.kept) this.#pool?.letIn(address);
  }

  #remoteOrNetmask(peer: InnerAddress | undefined): string {
    switch (this.#topology) {
      case 'subnet':
        return this.#netmask;
      case 'net30':
        return peer === undefined ? this.#serverIpv4 : formatInnerAddress(peer);
      case 'p2p':
        return this.#serverIpv4;
    }
  }
}

function ownRoutes(addresses: VirtualAddresses): Prefix[] {
  const texts = [addresses.ipv4?.local, addresses.ipv6?.local];
  return texts.flatMap((text) => {
    if (text === undefined) return [];
    const address = mustParse(text);
    return [{ address, length: address.length * 8 }];
  });
}

function networksBehind({ iroutes = [], iroutesIpv6 = [] }: AddressWish = {}): Prefix[] {
  const ipv4 = iroutes.map(({ network, netmask }) =>
    prefixOf(mustParse(network), netmaskLength(mustParse(netmask)) ?? 32),
  );
  const ipv6 = iroutesIpv6.map(({ network, bits }) => prefixOf(mustParse(network), bits));
  return [...ipv4, ...ipv6];
}

/** Addresses of a configuration were checked when it was read. */
function mustParse(text: string): InnerAddress {
  const address = parseInnerAddress(text);
  if (address === undefined) throw new TypeError(`not an address: ${text}`);
  return address;
}
