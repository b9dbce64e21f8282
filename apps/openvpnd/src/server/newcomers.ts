import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import { ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { assertNever, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import { CONTROL_HEADER_BYTES } from '@openvpnd/wire';
import { sameMetadata } from '../control-wraps.js';
import type { TunnelAction } from '../tunnel-action.js';
import { ReturnLimit } from './return-limit.js';
import { Ring } from './ring.js';
import type { Instance, ServerClients } from './server-clients.js';
import type { ServerControl } from './server-control.js';
import { formatArrival, type ServerListener } from './server-listener.js';
import type { FirstPacket } from './server-peer.js';
import type { StreamConnections } from './stream-connections.js';

/** Who waits to become a client: far more than come at once where so many answers go out; at half a KiB each half a MiB. Whoever finds no room comes again. */
const MAX_ARRIVED = 1024;

export interface NewcomersOptions {
  readonly clients: ServerClients;
  readonly control: ServerControl;
  /** The listener that a link belongs to. */
  readonly listenerOf: (link: number) => ServerListener | undefined;
  readonly streams: StreamConnections;
  /** Ask with `verify-client-key` before a tls-crypt-v2 client is answered. */
  readonly verifiesKeys: boolean;
  readonly log: Log;
}

/** Somebody whose first packet, or cookie, is good. */
interface Arrival {
  readonly address: LinkAddress;
  /** As it came. */
  readonly packet: Uint8Array;
  readonly first: FirstPacket;
  readonly metadata: ClientKeyMetadata | undefined;
  readonly listener: ServerListener;
}

/**
 * Those who are not clients yet: answers first packets, judges client keys, and makes a client of who passes. OpenVPN:
 * multi_get_create_instance_udp(), do_pre_decrypt_check().
 */
export class Newcomers {
  readonly #clients: ServerClients;
  readonly #control: ServerControl;
  readonly #listenerOf: (link: number) => ServerListener | undefined;
  readonly #streams: StreamConnections;
  readonly #verifiesKeys: boolean;
  readonly #log: Log;
  readonly #returns: ReturnLimit = new ReturnLimit();
  /** Instances whose client key is being judged. */
  readonly #judged: Map<number, Instance> = new Map();
  #keyRequests = 0;
  readonly #arrived: Ring<Arrival> = new Ring(MAX_ARRIVED);

  constructor(options: NewcomersOptions) {
    this.#clients = options.clients;
    this.#control = options.control;
    this.#listenerOf = options.listenerOf;
    this.#streams = options.streams;
    this.#verifiesKeys = options.verifiesKeys;
    this.#log = options.log;
  }

  /** Whether somebody waits for {@link beginNext}. */
  get someArrived(): boolean {
    return this.#arrived.count > 0;
  }

  /**
   * A packet from an address that no client has. To answer a stranger is little, to make a client of him is as much as a step of a control channel: with `mayBegin` false he
   * waits for {@link beginNext}. Returns whether a client was made.
   */
  handlePacket(
    now: Instant,
    packet: Uint8Array,
    address: LinkAddress,
    mayBegin: boolean,
    actions: TunnelAction[],
  ): boolean {
    const link = address[ADDRESS_LINK];
    const listener = this.#listenerOf(link);
    if (listener === undefined) return false;
    if (this.#streams.has(link)) {
      this.#handleFirstOnStream(now, packet, address, listener, actions);
      return true;
    }
    const answer = listener.handshake.handleFirstPacket(now, packet, address);
    switch (answer.type) {
      case 'reply':
        actions.push({ type: 'send-control', packet: answer.packet, to: address });
        return false;
      case 'drop':
        this.#logStranger(answer.detail, address, listener);
        return false;
      case 'stateful':
        return this.#arrive(
          now,
          { address, packet, first: { packet }, metadata: answer.metadata, listener },
          mayBegin,
          actions,
        );
      case 'accept': {
        const { metadata } = answer.wrap.clientKey ?? {};
        const first = { packet: answer.packet, accepted: answer };
        return this.#arrive(now, { address, packet, first, metadata, listener }, mayBegin, actions);
      }
      default:
        return assertNever(answer);
    }
  }

  /** Makes a client of who has waited longest. */
  beginNext(now: Instant, actions: TunnelAction[]): void {
    const arrival = this.#arrived.shift();
    if (arrival === undefined) return;
    const { address, packet, first } = arrival;
    const instance = this.#clients.byAddress(address);
    if (instance === undefined) {
      this.#begin(now, arrival, actions);
      return;
    }
    // He sent more than one packet while he waited.
    first.accepted?.wrap.close();
    if (instance.modules.held === undefined) this.#control.handleControl(now, instance.slot, packet, actions);
  }

  /** Those who wait are forgotten. */
  close(): void {
    for (let arrival = this.#arrived.shift(); arrival !== undefined; arrival = this.#arrived.shift()) {
      arrival.first.accepted?.wrap.close();
    }
  }

  #arrive(now: Instant, arrival: Arrival, mayBegin: boolean, actions: TunnelAction[]): boolean {
    if (mayBegin && !this.someArrived) {
      this.#begin(now, arrival, actions);
      return true;
    }
    if (!this.#arrived.push(arrival)) arrival.first.accepted?.wrap.close();
    return false;
  }

  /**
   * Something from a client's address that belongs to none of its sessions: the client has lost its state, or somebody imitates it. Its
   * address is no proof, so that it is asked for the cookie like a stranger, and only with that a second session begins.
   */
  handleReturn(now: Instant, instance: Instance, packet: Uint8Array, actions: TunnelAction[]): void {
    instance.modules.controlBytesIn += packet.length;
    const { handshake } = instance.modules.listener;
    const answer = handshake.handleFirstPacket(now, packet, instance.address, 'peer');
    switch (answer.type) {
      case 'reply':
        if (!this.#returns.admits(now, instance.slot, packet.subarray(1, CONTROL_HEADER_BYTES))) return;
        actions.push({ type: 'send-control', packet: answer.packet, to: instance.address.slice() });
        return;
      case 'drop':
        return;
      case 'stateful':
        this.#control.drive(now, instance.slot, actions, (multi) => multi.handlePacket(now, packet));
        return;
      case 'accept':
        if (this.#mayReturnWith(instance, answer.wrap.clientKey?.metadata)) {
          this.#control.drive(now, instance.slot, actions, (multi) => multi.handleAccepted(now, answer, answer.packet));
        } else {
          answer.wrap.close();
        }
        return;
      default:
        assertNever(answer);
    }
  }

  /** Where keys are judged, a session begun anew must come with the same one: no other slips in behind the judgement. */
  #mayReturnWith({ modules: peer }: Instance, metadata: ClientKeyMetadata | undefined): boolean {
    if (!this.#verifiesKeys || metadata === undefined) return true;
    return peer.keyMetadata !== undefined && sameMetadata(peer.keyMetadata, metadata);
  }

  /** What `verify-client-key` said of a client that waits for it. OpenVPN: tls_crypt_v2_verify_metadata(). */
  handleVerdict(now: Instant, requestId: number, admitted: boolean, actions: TunnelAction[]): void {
    const instance = this.#judged.get(requestId);
    this.#judged.delete(requestId);
    const held = instance?.modules.held;
    if (instance === undefined || held === undefined || instance.modules.removed) return;
    instance.modules.held = undefined;
    if (admitted) {
      this.#deliverFirst(now, instance, held.first, actions);
    } else {
      instance.modules.log.error('server.client-key-refused');
      this.#clients.removeWith(instance, { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' });
    }
  }

  #logStranger(reason: string | undefined, address: LinkAddress, listener: ServerListener): void {
    if (reason === undefined) return;
    this.#log.warn('server.stranger-refused', { reason, from: formatArrival(address, listener) });
  }

  /** A connection proves the address: no cookie is asked for. */
  #handleFirstOnStream(
    now: Instant,
    packet: Uint8Array,
    address: LinkAddress,
    listener: ServerListener,
    actions: TunnelAction[],
  ): void {
    const link = address[ADDRESS_LINK];
    const verdict = listener.handshake.handleFirstOnStream(now, packet);
    if (verdict.type === 'drop') {
      this.#logStranger(verdict.detail, address, listener);
      this.#streams.markUnused(link);
      return;
    }
    this.#streams.markHeard(link);
    this.#begin(now, { address, packet, first: { packet }, metadata: verdict.metadata, listener }, actions);
    if (this.#clients.byAddress(address) === undefined) this.#streams.markUnused(link);
  }

  /** Makes the instance of a client from its first packet. */
  #begin(now: Instant, { address, first, metadata, listener }: Arrival, actions: TunnelAction[]): void {
    const instance = this.#clients.create(now, address, metadata, listener);
    if (instance === undefined) {
      first.accepted?.wrap.close();
      return;
    }
    const peer = instance.modules;
    peer.controlBytesIn += first.packet.length;
    if (metadata !== undefined && this.#verifiesKeys) {
      const requestId = ++this.#keyRequests;
      peer.held = { requestId, first };
      this.#judged.set(requestId, instance);
      const describe = (): string => peer.describe().name;
      actions.push({ type: 'verify-client-key', requestId, metadata, describe });
    } else {
      this.#deliverFirst(now, instance, first, actions);
    }
  }

  #deliverFirst(now: Instant, instance: Instance, { packet, accepted }: FirstPacket, actions: TunnelAction[]): void {
    this.#control.drive(now, instance.slot, actions, (multi) =>
      accepted === undefined ? multi.handlePacket(now, packet) : multi.handleAccepted(now, accepted, packet),
    );
    // Without a session nothing would ever end it.
    if (!instance.modules.removed && instance.modules.multi.nextTimeout() === NEVER) this.#clients.remove(instance);
  }
}
