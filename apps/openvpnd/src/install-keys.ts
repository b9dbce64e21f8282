import type { CompressionAlgorithm, ConnectionEntry, MssFix, Options } from '@openvpnd/config';
import type { ControlAction } from '@openvpnd/control-processor';
import { type DataChannel, findHmacDigest } from '@openvpnd/data-channel';
import {
  type DataPacketShape,
  type FragmentSetting,
  fragmentPartOf,
  type MssfixSetting,
  mssOf,
} from '@openvpnd/keygen';

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
  action: Extract<KeyAction, { readonly type: 'install-keys' }>,
  use: KeyUse,
  carrier: Carrier,
): DataPacketShape {
  return {
    cipher: action.keys.cipher,
    digestBytes: findHmacDigest(use.auth)?.bytes ?? 0,
    mode: 'tls',
    peerId: action.peerId !== undefined,
    epoch: action.epoch,
    stream: carrier.stream,
    socks: use.socks ?? false,
    compressionPrefix: use.compression !== undefined && !use.compression.endsWith('-v2'),
    fragment: use.fragment !== undefined,
  };
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
        ...(use.mssfix === undefined ? {} : { mss: mssOf({ ...use.mssfix, outerIpv6: carrier.ipv6 }, shape) }),
        auth: use.auth,
        epoch: action.epoch,
      });
      // What fits into a packet depends on the cipher.
      if (use.fragment !== undefined) {
        const partBytes = fragmentPartOf({ ...use.fragment, outerIpv6: carrier.ipv6 }, shape);
        dataChannel.setFragmentPart(slot, Math.max(partBytes, SHORTEST_PART_BYTES));
      }
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
