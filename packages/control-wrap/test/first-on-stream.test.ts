import {
  emitControlPacket,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_V1,
} from '@openvpnd/wire';
import { expect, test } from 'vitest';
import { plainWraps, StatelessHandshake } from '../src/index.js';

const handshake = new StatelessHandshake({
  wraps: plainWraps(),
  random: { fill: (target) => void target.fill(7) },
  unixTime: () => 1_800_000_000,
});

function packet(opcode: number, messageId = 0, sid = 1, keyId = 0): Uint8Array {
  const sessionId = new Uint8Array(8).fill(sid);
  return emitControlPacket({ opcode, keyId, sessionId, acks: [], messageId, payload: new Uint8Array(0) });
}

test('a reset of a client begins a session at once', () => {
  expect(handshake.handleFirstOnStream(0, packet(P_CONTROL_HARD_RESET_CLIENT_V2))).toEqual({
    type: 'stateful',
    metadata: undefined,
  });
});

test.each([
  ['nothing', new Uint8Array(0)],
  ['half a reset', packet(P_CONTROL_HARD_RESET_CLIENT_V2).subarray(0, 10)],
  ['the reset of a server', packet(P_CONTROL_HARD_RESET_SERVER_V2)],
  ['what comes later', packet(P_CONTROL_V1, 1)],
  ['an acknowledgement', Uint8Array.of(P_ACK_V1 << 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2)],
  ['a client key where none is expected', packet(P_CONTROL_HARD_RESET_CLIENT_V3)],
  ['a session id of zeros', packet(P_CONTROL_HARD_RESET_CLIENT_V2, 0, 0)],
  ['another key', packet(P_CONTROL_HARD_RESET_CLIENT_V2, 0, 1, 1)],
  ['another message id', packet(P_CONTROL_HARD_RESET_CLIENT_V2, 3)],
])('%s does not', (_name, bytes) => {
  expect(handshake.handleFirstOnStream(0, bytes).type).toBe('drop');
});
