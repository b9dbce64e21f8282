import type { ControlAction } from '@openvpnd/control-processor';
import type { DataChannel } from '@openvpnd/data-channel';

/** The part of the control channel's actions that concerns the keys of the data channel. */
export type KeyAction = Extract<ControlAction, { readonly type: 'install-keys' | 'send-with' | 'retire-keys' }>;

/** Hands a decision about keys from the control channel of the peer in `slot` to the data channel. */
export function applyKeyAction(dataChannel: DataChannel, slot: number, action: KeyAction): void {
  switch (action.type) {
    case 'install-keys':
      dataChannel.installKeys(
        slot,
        action.keyId,
        action.keys,
        action.peerId === undefined ? {} : { peerId: action.peerId },
      );
      return;
    case 'send-with':
      dataChannel.sendWith(slot, action.keyId);
      return;
    case 'retire-keys':
      dataChannel.retireKeys(slot, action.keyId);
      return;
  }
}
