import fc from 'fast-check';
import { createMD4 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { type Md4, ntlmAnswer, ntlmNegotiation } from '../src/ntlm.js';

const hasher = await createMD4();
const md4: Md4 = (bytes) => hasher.init().update(bytes).digest('binary');

/** MS-NLMP 4.2.1 and 4.2.4: common values, and the target information of the NTLMv2 example. */
const REQUEST = {
  credentials: { username: 'Domain\\User', password: 'Password' },
  clientChallenge: Buffer.alloc(8, 0xaa),
  nowMs: -11_644_473_600_000,
  md4,
};
const TARGET_INFO = Buffer.from('02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000', 'hex');

function challenge(targetInfo = TARGET_INFO, flags = 0x00810205): Buffer {
  const message = Buffer.alloc(48);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(2, 8);
  message.writeUInt32LE(flags, 20);
  Buffer.from('0123456789abcdef', 'hex').copy(message, 24);
  message.writeUInt16LE(targetInfo.length, 40);
  message.writeUInt16LE(targetInfo.length, 42);
  message.writeUInt32LE(48, 44);
  return Buffer.concat([message, targetInfo]);
}

function answer(message: Buffer): Buffer {
  const response = ntlmAnswer(message.toString('base64'), REQUEST);
  if (!response.ok) throw new Error(response.reason);
  return Buffer.from(response.header.slice('NTLM '.length), 'base64');
}

function part(message: Buffer, at: number): Buffer {
  const start = message.readUInt32LE(at + 4);
  return message.subarray(start, start + message.readUInt16LE(at));
}

describe('NTLM', () => {
  it('asks with a negotiation that names nobody', () => {
    const message = Buffer.from(ntlmNegotiation().slice('NTLM '.length), 'base64');
    expect(message.subarray(0, 12).toString('hex')).toBe('4e544c4d5353500001000000');
    expect(message).toHaveLength(32);
  });

  it('answers as in MS-NLMP 4.2.4.2.2', () => {
    const message = answer(challenge());
    expect(message.subarray(0, 12).toString('hex')).toBe('4e544c4d5353500003000000');
    const response = part(message, 20);
    expect(response.subarray(0, 16).toString('hex')).toBe('68cd0ab851e51c96aabc927bebef6a1c');
    expect(response.subarray(16).toString('hex')).toBe(
      `01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000${TARGET_INFO.toString('hex')}00000000`,
    );
    expect(part(message, 28).toString('utf16le')).toBe('Domain');
    expect(part(message, 36).toString('utf16le')).toBe('User');
    expect(part(message, 12)).toHaveLength(0);
  });

  it('tells other credentials by another proof', () => {
    const other = ntlmAnswer(challenge().toString('base64'), {
      ...REQUEST,
      credentials: { username: 'Domain\\User', password: 'password' },
    });
    if (!other.ok) throw new Error(other.reason);
    const proof = part(Buffer.from(other.header.slice(5), 'base64'), 20).subarray(0, 16);
    expect(proof.toString('hex')).not.toBe('68cd0ab851e51c96aabc927bebef6a1c');
  });

  it('writes names in bytes for who knows no Unicode', () => {
    expect(part(answer(challenge(TARGET_INFO, 0x00800204)), 36).toString('latin1')).toBe('User');
  });

  it('refuses a challenge cut anywhere, a field out of bounds and a long one', () => {
    const whole = challenge();
    for (let length = 0; length < whole.length; length += 1) {
      expect(ntlmAnswer(whole.subarray(0, length).toString('base64'), REQUEST).ok).toBe(false);
    }
    const outside = challenge();
    outside.writeUInt32LE(0xffff_fff0, 44);
    expect(ntlmAnswer(outside.toString('base64'), REQUEST).ok).toBe(false);
    expect(ntlmAnswer(challenge(Buffer.alloc(3000)).toString('base64'), REQUEST).ok).toBe(false);
    expect(ntlmAnswer('TlRMTVNTUAADAAAA', REQUEST)).toEqual({
      ok: false,
      reason: 'NTLM Proxy-Authorization phase 3 failed: received corrupted data from proxy server',
    });
  });

  it('throws at nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => {
        const message = challenge();
        message.set(noise.subarray(0, message.length - 12), 12);
        ntlmAnswer(message.toString('base64'), REQUEST);
        ntlmAnswer(Buffer.from(noise).toString('latin1'), REQUEST);
      }),
    );
  });
});
