import type { CompressionAlgorithm, ConnectionEntry, MssFix, Options } from '@openvpnd/config';
import type { ControlAction } from '@openvpnd/control-processor';
import { type DataChannel, findHmacDigest } from '@openvpnd/data-channel';
import {
  type DataChannelKeys,
  type DataCipher,
  type DataPacketShape,
  type FragmentSetting,
  fragmentPartOf,
  type MssfixSetting,
  mssOf,
} from '@openvpnd/keygen';
import type { Instant } from '@openvpnd/sans-io';

/** The part of the control channel's actions that concerns the keys of the data channel. */
export type KeyAction = Extract<ControlAction, { readonly type: 'install-keys' | 'send-with' | 'retire-keys' }>;

/** What the options say about how keys are used, the same for each of them. */
export interface KeyUse {
  /** Each packet has the header of a SOCKS proxy in front (`--socks-proxy` over UDP). */
  readonly socks?: boolean;
  /** --auth; counts for ciphers that are no AEAD. */
  readonly auth: string;
  /** --mssfix; absent: off. */
  readonly mssfix?: MssfixSetting;
  /** --fragment; absent: off. */
  readonly fragment?: FragmentSetting;
  /** --compress, --comp-lzo: how payloads are marked. */
  readonly compression?: CompressionAlgorithm | undefined;
}

const LIMITS = { outer: 'mtu', payload: 'encapsulated', fixed: 'fixed' } as const satisfies Record<
  MssFix['basis'],
  string
>;

/** However small --fragment is: a part that carries something. */
const SHORTEST_PART_BYTES = 4;

/** How keys are used by the options of a connection. */
export function keyUse(options: Options, entry: ConnectionEntry): KeyUse {
  const { mssFix, fragment } = entry;
  return {
    compression: options.dataChannel.compression.algorithm,
    ...(fragment === undefined ? {} : { fragment: { bytes: fragment.bytes, limits: LIMITS[fragment.basis] } }),
    auth: options.dataChannel.auth,
    socks: entry.proxy?.kind === 'socks',
    ...(mssFix === undefined ? {} : { mssfix: { bytes: mssFix.bytes, limits: LIMITS[mssFix.basis] } }),
  };
}

/** What carries the packets of a peer. */
export interface Carrier {
  readonly ipv6: boolean;
  /** TCP. */
  readonly stream: boolean;
}

/** The form of the packets under a key, which decides what they add to their payload. */
export function packetShape(
  { keys, peerId, epoch }: Pick<Extract<KeyAction, { readonly type: 'install-keys' }>, 'keys' | 'peerId' | 'epoch'>,
  use: KeyUse,
  carrier: Carrier,
): DataPacketShape {
  return { ...commonShape(keys.cipher, use, carrier), mode: 'tls', peerId: peerId !== undefined, epoch };
}

function commonShape(cipher: DataCipher, use: KeyUse, carrier: Carrier): DataPacketShape {
  return {
    cipher,
    digestBytes: findHmacDigest(use.auth)?.bytes ?? 0,
    mode: 'secret',
    stream: carrier.stream,
    socks: use.socks ?? false,
    compressionPrefix: use.compression !== undefined && !use.compression.endsWith('-v2'),
    fragment: use.fragment !== undefined,
  };
}

/**
 * Gives the peer in `slot` a static key, to send and to receive with; the keys are taken over. Answers the form of its packets.
 *
 * @param unixTime seconds since 1970 at an instant
 */
export function installStaticKey(
  dataChannel: DataChannel,
  slot: number,
  keys: DataChannelKeys,
  { use, carrier, unixTime }: { use: KeyUse; carrier: Carrier; unixTime: (now: Instant) => number },
): DataPacketShape {
  const shape = commonShape(keys.cipher, use, carrier);
  dataChannel.installStaticKey(slot, keys, { auth: use.auth, unixTime, ...mssIn(shape, use, carrier) });
  limitFragments(dataChannel, slot, shape, use, carrier);
  return shape;
}

/**
 * Hands a decision about keys from the control channel of the peer in `slot` to the data channel.
 * What carries the packets decides how much room is in them.
 */
export function applyKeyAction(
  dataChannel: DataChannel,
  slot: number,
  action: KeyAction,
  use: KeyUse,
  carrier: Carrier,
): void {
  switch (action.type) {
    case 'install-keys': {
      const { keys, peerId } = action;
      const shape = packetShape(action, use, carrier);
      dataChannel.installKeys(slot, action.keyId, keys, {
        ...(peerId === undefined ? {} : { peerId }),
        ...mssIn(shape, use, carrier),
        auth: use.auth,
        epoch: action.epoch,
      });
      limitFragments(dataChannel, slot, shape, use, carrier);
      return;
    }
    case 'send-with':
      dataChannel.sendWith(slot, action.keyId);
      return;
    case 'retire-keys':
      dataChannel.retireKeys(slot, action.keyId);
      return;
  }
}

function mssIn(shape: DataPacketShape, { mssfix }: KeyUse, { ipv6 }: Carrier): { readonly mss?: number } {
  return mssfix === undefined ? {} : { mss: mssOf({ ...mssfix, outerIpv6: ipv6 }, shape) };
}

/** What fits into a packet depends on the cipher. */
function limitFragments(
  dataChannel: DataChannel,
  slot: number,
  shape: DataPacketShape,
  { fragment }: KeyUse,
  { ipv6 }: Carrier,
): void {
  if (fragment === undefined) return;
  const partBytes = fragmentPartOf({ ...fragment, outerIpv6: ipv6 }, shape);
  dataChannel.setFragmentPart(slot, Math.max(partBytes, SHORTEST_PART_BYTES));
}
