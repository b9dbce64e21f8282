import { parseConfigText } from '@openvpnd/config';
import type { PassedSocket } from '@openvpnd/packet-io';
import { describe, expect, test } from 'vitest';
import { assignSockets } from '../src/server/passed-sockets.js';

const SERVER =
  'dev tun\n<ca>\n</ca>\n<cert>\n</cert>\n<key>\n</key>\ndh none\nserver 10.8.0.0 255.255.255.0\nkeepalive 10 60\n';

function assign(text: string, ...passed: readonly PassedSocket[]): readonly (readonly number[])[] {
  const result = parseConfigText(SERVER + text, 'server.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error(JSON.stringify(result));
  return assignSockets(result.options.listeners, passed).map((sockets) => sockets.map(({ fd }) => fd));
}

function socket(fd: number, protocol: 'udp' | 'tcp', address: string, port: number, name?: string): PassedSocket {
  return { fd, name, protocol, local: { family: address.includes(':') ? 6 : 4, address, port } };
}

describe('a socket that systemd passes', () => {
  test('goes to the listener with its name', () => {
    const text = '<listen>\ntag a\n</listen>\n<listen>\ntag b\nport 2\n</listen>\n';
    expect(assign(text, socket(3, 'udp', '192.0.2.1', 9, 'b'), socket(4, 'udp', '::', 8, 'a'))).toEqual([[4], [3]]);
    expect(() => assign(text, socket(3, 'tcp', '::', 9, 'b'))).toThrow(
      'LISTEN_FDS: descriptor 3 (tcp [AF_INET6][undef]:9) has the name of listener b, which has --proto udp',
    );
  });

  test('goes to the listener at its place', () => {
    const text = 'local * 1194 udp\nlocal 192.0.2.1 443 tcp\nlocal 192.0.2.1 443 udp\n';
    expect(assign(text, socket(3, 'tcp', '192.0.2.1', 443), socket(4, 'udp', '::', 1194))).toEqual([[4], [3], []]);
  });

  test('goes to a server that has said nothing of places, but only of its transport', () => {
    expect(assign('', socket(3, 'udp', '192.0.2.1', 7), socket(4, 'udp', '2001:db8::1', 7))).toEqual([[3, 4]]);
    expect(() => assign('', socket(3, 'tcp', '192.0.2.1', 7))).toThrow(
      "LISTEN_FDS: descriptor 3 (tcp [AF_INET]192.0.2.1:7) belongs to no listener: add 'local 192.0.2.1 7 tcp'",
    );
  });

  test('that belongs nowhere is an error, not a socket on which nobody answers', () => {
    for (const stray of [
      socket(3, 'udp', '192.0.2.1', 1195),
      socket(3, 'udp', '192.0.2.2', 1194),
      socket(3, 'tcp', '192.0.2.1', 1194),
    ]) {
      expect(() => assign('local 192.0.2.1 1194 udp\n', stray)).toThrow('belongs to no listener');
    }
  });
});
