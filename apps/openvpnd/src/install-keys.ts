import type { ConnectionEntry, MssFix, Options } from '@openvpnd/config';
import type { ControlAction } from '@openvpnd/control-processor';
import { type DataChannel, findHmacDigest } from '@openvpnd/data-channel';
import { type DataPacketShape, type MssfixSetting, mssOf } from '@openvpnd/keygen';

/** The part of the control channel's actions that concerns the keys of the data channel. */
export type KeyAction = Extract<ControlAction, { readonly type: 'install-keys' | 'send-with' | 'retire-keys' }>;

/** What the options say about how keys are used, the same for each of them. */
export interface KeyUse {
  /** --auth; counts for ciphers that are no AEAD. */
  readonly auth: string;
  /** --mssfix; absent: off. */
  readonly mssfix?: MssfixSetting;
}

const LIMITS = { outer: 'mtu', payload: 'encapsulated', fixed: 'fixed' } as const satisfies Record<
  MssFix['basis'],
  string
>;

/** How keys are used by the options of a connection. */
export function keyUse(options: Options, entry: ConnectionEntry): KeyUse {
  const { mssFix } = entry;
  return {
    auth: options.dataChannel.auth,
    ...(mssFix === undefined ? {} : { mssfix: { bytes: mssFix.bytes, limits: LIMITS[mssFix.basis] } }),
  };
}

/** The form of the packets under a key, which decides what they add to their payload. */
export function packetShape(
  action: Extract<KeyAction, { readonly type: 'install-keys' }>,
  use: KeyUse,
): DataPacketShape {
  return {
    cipher: action.keys.cipher,
    digestBytes: findHmacDigest(use.auth)?.bytes ?? 0,
    mode: 'tls',
    peerId: action.peerId !== undefined,
  };
}

/**
 * Hands a decision about keys from the control channel of the peer in `slot` to the data channel.
 *
 * @param outerIpv6 whether the peer is reached over IPv6, which leaves less room in a packet
 */
export function applyKeyAction(
  dataChannel: DataChannel,
  slot: number,
  action: KeyAction,
  use: KeyUse,
  outerIpv6: boolean,
): void {
  switch (action.type) {
    case 'install-keys': {
      const { keys, peerId } = action;
      const shape = packetShape(action, use);
      dataChannel.installKeys(slot, action.keyId, keys, {
        ...(peerId === undefined ? {} : { peerId }),
        ...(use.mssfix === undefined ? {} : { mss: mssOf({ ...use.mssfix, outerIpv6 }, shape) }),
        auth: use.auth,
      });
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
