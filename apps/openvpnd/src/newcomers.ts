import type { StatelessHandshake } from '@openvpnd/control-wrap';
import { formatLinkAddress } from '@openvpnd/external-mux';
import { ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { assertNever, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { ClientOrigin, Instance, ServerClients } from './server-clients.js';
import type { ServerControl } from './server-control.js';
import type { StreamConnections } from './stream-connections.js';
import type { TunnelAction } from './tunnel-action.js';

export interface NewcomersOptions {
  readonly clients: ServerClients;
  readonly control: ServerControl;
  readonly handshake: StatelessHandshake;
  readonly streams: StreamConnections;
  /** Ask with `verify-client-key` before a tls-crypt-v2 client is answered. */
  readonly verifiesKeys: boolean;
  readonly log: Log;
}

/**
 * Those who are not clients yet: answers first packets, judges client keys, and makes a client of who passes. OpenVPN:
 * multi_get_create_instance_udp(), do_pre_decrypt_check().
 */
export class Newcomers {
  readonly #clients: ServerClients;
  readonly #control: ServerControl;
  readonly #handshake: StatelessHandshake;
  readonly #streams: StreamConnections;
  readonly #verifiesKeys: boolean;
  readonly #log: Log;
  /** Instances whose client key is being judged. */
  readonly #judged: Map<number, Instance> = new Map();
  #keyRequests = 0;

  constructor(options: NewcomersOptions) {
    this.#clients = options.clients;
    this.#control = options.control;
    this.#handshake = options.handshake;
    this.#streams = options.streams;
    this.#verifiesKeys = options.verifiesKeys;
    this.#log = options.log;
  }

  /** A packet from an address that no client has. */
  handlePacket(now: Instant, packet: Uint8Array, address: LinkAddress, actions: TunnelAction[]): void {
    if (this.#streams.has(address[ADDRESS_LINK])) {
      this.#handleFirstOnStream(now, packet, address, actions);
      return;
    }
    const answer = this.#handshake.handleFirstPacket(now, packet, address);
    switch (answer.type) {
      case 'reply':
        actions.push({ type: 'send-control', packet: answer.packet, to: address });
        return;
      case 'drop':
        this.#logStranger(answer.detail, address);
        return;
      case 'stateful':
        this.#begin(now, address, { metadata: answer.metadata }, packet, actions);
        return;
      case 'accept': {
        const metadata = answer.wrap.clientKey?.metadata;
        this.#begin(now, address, { accepted: answer, ...(metadata && { metadata }) }, answer.packet, actions);
        return;
      }
      default:
        assertNever(answer);
    }
  }

  /** What `verify-client-key` said of a client that waits for it. OpenVPN: tls_crypt_v2_verify_metadata(). */
  handleVerdict(now: Instant, requestId: number, admitted: boolean, actions: TunnelAction[]): void {
    const instance = this.#judged.get(requestId);
    this.#judged.delete(requestId);
    const held = instance?.modules.held;
    if (instance === undefined || held === undefined || instance.modules.removed) return;
    instance.modules.held = undefined;
    if (admitted) {
      this.#deliverFirst(now, instance, held.packet, held.unwrapped, actions);
    } else {
      instance.modules.log.error('server.client-key-refused');
      this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' });
    }
  }

  #logStranger(reason: string | undefined, address: LinkAddress): void {
    if (reason === undefined) return;
    this.#log.warn('server.stranger-refused', { reason, from: formatLinkAddress(address) });
  }

  /** A connection proves the address: no cookie is asked for. */
  #handleFirstOnStream(now: Instant, packet: Uint8Array, address: LinkAddress, actions: TunnelAction[]): void {
    const link = address[ADDRESS_LINK];
    const verdict = this.#handshake.handleFirstOnStream(now, packet);
    if (verdict.type === 'drop') {
      this.#logStranger(verdict.detail, address);
      this.#streams.markUnused(link);
      return;
    }
    this.#streams.markHeard(link);
    const { metadata } = verdict;
    this.#begin(now, address, metadata === undefined ? {} : { metadata }, packet, actions);
    if (this.#clients.byAddress(address) === undefined) this.#streams.markUnused(link);
  }

  /** The first packet of a client, with which its instance is made; unwrapped already where it came with a cookie. */
  #begin(now: Instant, address: LinkAddress, origin: ClientOrigin, packet: Uint8Array, actions: TunnelAction[]): void {
    const instance = this.#clients.create(now, address, origin);
    if (instance === undefined) return;
    const peer = instance.modules;
    peer.controlBytesIn += packet.length;
    const unwrapped = origin.accepted !== undefined;
    if (origin.metadata !== undefined && this.#verifiesKeys) {
      const requestId = ++this.#keyRequests;
      peer.held = { requestId, packet, unwrapped };
      this.#judged.set(requestId, instance);
      const describe = (): string => peer.describe().name;
      actions.push({ type: 'verify-client-key', requestId, metadata: origin.metadata, describe });
    } else {
      this.#deliverFirst(now, instance, packet, unwrapped, actions);
    }
  }

  #deliverFirst(
    now: Instant,
    instance: Instance,
    packet: Uint8Array,
    unwrapped: boolean,
    actions: TunnelAction[],
  ): void {
    this.#control.drive(now, instance.slot, actions, (multi) =>
      unwrapped ? multi.handleUnwrapped(now, packet) : multi.handlePacket(now, packet),
    );
    // Without a session nothing would ever end it.
    if (!instance.modules.removed && instance.modules.multi.nextTimeout() === NEVER) this.#clients.remove(instance);
  }
}
