import { type BufferSizes, type LinkSocket, UDP_RECEIVE_BUFFER_BYTES } from '@openvpnd/external-mux';
import { describe, expect, test } from 'vitest';
import { ReceiveBuffers, receiveBufferBytes } from '../src/server/receive-buffers.js';

const KIB = 1024;

describe('receiveBufferBytes', () => {
  test('a few clients have what one has', () => {
    expect([0, 1, 2, 3].map(receiveBufferBytes)).toEqual(Array.from({ length: 4 }, () => UDP_RECEIVE_BUFFER_BYTES));
  });

  test('doubles with the clients, and not for each', () => {
    expect([4, 7, 8, 15, 16].map((clients) => receiveBufferBytes(clients) / KIB)).toEqual([256, 256, 512, 512, 1024]);
  });

  test('has an end', () => {
    expect([17, 1000, 1e6].map((clients) => receiveBufferBytes(clients) / KIB)).toEqual([1024, 1024, 1024]);
  });
});

describe('ReceiveBuffers', () => {
  /** What a socket was asked for, in KiB. */
  function socket(): { link: LinkSocket; asked: number[] } {
    const asked: number[] = [];
    const resizeBuffers = ({ receiveBufferBytes: bytes = 0 }: BufferSizes): number => asked.push(bytes / KIB);
    return { link: { resizeBuffers } as unknown as LinkSocket, asked };
  }

  test('asks each socket once for each doubling and each halving', () => {
    const buffers = new ReceiveBuffers();
    const [one, other] = [socket(), socket()];
    buffers.add(one.link);
    buffers.add(other.link);
    for (let clients = 1; clients <= 20; clients += 1) buffers.connected(clients);
    for (let clients = 19; clients >= 0; clients -= 1) buffers.connected(clients);
    expect(one.asked).toEqual([256, 512, 1024, 512, 256, 208]);
    expect(other.asked).toEqual(one.asked);
  });

  test('asks a socket that is opened late for what the others have, and one without need for nothing', () => {
    const buffers = new ReceiveBuffers();
    const [early, late] = [socket(), socket()];
    buffers.add(early.link);
    expect(early.asked).toEqual([]);
    buffers.connected(8);
    buffers.add(late.link);
    expect([early.asked, late.asked]).toEqual([[512], [512]]);
  });

  test('leaves a socket alone that was not added, and one without buffers of its own', () => {
    const buffers = new ReceiveBuffers();
    const own = socket();
    buffers.add({} as LinkSocket);
    buffers.connected(64);
    expect(own.asked).toEqual([]);
  });
});
