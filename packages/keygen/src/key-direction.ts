/**
 * Direction of a static key: 'normal' (option value 0), 'inverse' (1), or 'both' when the option gives none, which uses
 * one slot for sending and receiving. OpenVPN: key_direction.
 */
export type KeyDirection = 'normal' | 'inverse' | 'both';

/** Which slot of a key file a side sends and receives with. */
export interface KeySlots {
  readonly send: 0 | 1;
  readonly receive: 0 | 1;
}

/** The slots of a direction. OpenVPN: key_direction_state_init(). */
export function keySlots(direction: KeyDirection): KeySlots {
  switch (direction) {
    case 'normal':
      return { send: 0, receive: 1 };
    case 'inverse':
      return { send: 1, receive: 0 };
    case 'both':
      return { send: 0, receive: 0 };
  }
}
