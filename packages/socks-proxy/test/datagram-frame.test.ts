import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DatagramFrame, LONGEST_HEADER_BYTES } from '../src/datagram-frame.js';

const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
const PACKET = Uint8Array.of(0x38, 1, 2);

describe('a frame of a datagram', () => {
  it('is that of RFC 1928 for both families and names', () => {
    expect(hex(new DatagramFrame({ host: '192.0.2.1', port: 1194 }).wrap(PACKET))).toBe('00000001c000020104aa380102');
    expect(hex(new DatagramFrame({ host: '2001:db8::1', port: 443 }).wrap(PACKET))).toBe(
      '0000000420010db800000000000000000000000101bb380102',
    );
    expect(hex(new DatagramFrame({ host: 'vpn.example', port: 53 }).wrap(PACKET))).toBe(
      `000000030b${Buffer.from('vpn.example').toString('hex')}0035380102`,
    );
    const longest = new DatagramFrame({ host: 'x'.repeat(255), port: 1 }).wrap(PACKET);
    expect(longest).toHaveLength(LONGEST_HEADER_BYTES + PACKET.length);
  });

  it('gives back what is in it', () => {
    for (const host of ['192.0.2.1', '2001:db8::1', '2001:DB8:0:0::1', 'vpn.example']) {
      const frame = new DatagramFrame({ host, port: 1194 });
      expect(frame.open(frame.wrap(PACKET))).toEqual(Buffer.from(PACKET));
    }
  });

  it('comes from any address where the target is a name, and from the target alone where it is an address', () => {
    const from = (host: string, port = 1194): Uint8Array => new DatagramFrame({ host, port }).wrap(PACKET);
    const name = new DatagramFrame({ host: 'vpn.example', port: 1194 });
    expect(name.open(from('192.0.2.1'))).toBeDefined();
    expect(name.open(from('2001:db8::1'))).toBeDefined();
    expect(name.open(from('192.0.2.1', 1195))).toBeUndefined();
    const address = new DatagramFrame({ host: '192.0.2.1', port: 1194 });
    expect(address.open(from('192.0.2.1'))).toBeDefined();
    for (const other of [from('192.0.2.2'), from('192.0.2.1', 1195), from('::ffff:192.0.2.1'), from('vpn.example')])
      expect(address.open(other)).toBeUndefined();
    expect(new DatagramFrame({ host: '2001:db8::1', port: 1194 }).open(from('2001:db8::2'))).toBeUndefined();
  });

  it('is no fragment, not empty and not cut short', () => {
    const frame = new DatagramFrame({ host: '192.0.2.1', port: 1194 });
    const whole = frame.wrap(PACKET);
    const fragment = Uint8Array.from(whole);
    fragment[2] = 1;
    expect(frame.open(fragment)).toBeUndefined();
    for (let length = 0; length <= whole.length - PACKET.length; length += 1)
      expect(frame.open(whole.subarray(0, length))).toBeUndefined();
  });

  it('is told from any bytes without a throw', () => {
    const frames = [new DatagramFrame({ host: '192.0.2.1', port: 1 }), new DatagramFrame({ host: 'a', port: 1 })];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5), (bytes, type) => {
        const noise = Uint8Array.from(bytes);
        noise.set([0, 0, 0, type].slice(0, noise.length));
        for (const frame of frames) frame.open(noise);
      }),
    );
  });
});
