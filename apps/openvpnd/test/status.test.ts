import { linkAddress } from '@openvpnd/external-mux';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientStatistics } from '../src/client/statistics.js';
import { type ClientStatus, type StatusFrame, serverStatus, statusAddress } from '../src/server/server-status.js';

const CLIENT: ClientStatus = {
  commonName: 'client1',
  username: undefined,
  realAddress: '10.77.1.2:58290',
  ipv4: '10.8.0.20',
  ipv6: 'fd08::1012',
  bytesReceived: 2180,
  bytesSent: 2207,
  since: 1_795_239_982_000,
  clientId: 0,
  peerId: 0,
  cipher: 'AES-256-GCM',
  listener: undefined,
  routes: [
    { network: '10.8.0.20', lastReference: 1_795_239_982_000 },
    { network: 'fd08::1012', lastReference: 1_795_239_982_000 },
  ],
};
const STRANGER: ClientStatus = {
  ...CLIENT,
  commonName: undefined,
  realAddress: '10.77.1.3:4',
  ipv4: undefined,
  ipv6: undefined,
  cipher: undefined,
  clientId: 1,
  peerId: 1,
  routes: [],
};

function frame(version: 1 | 2 | 3 | 4): StatusFrame {
  return { version, title: 'OpenVPN 2.6.14', now: 1_795_239_984, unixTime: (instant) => instant / 1000 };
}

describe('status', () => {
  const zone = process.env.TZ;
  beforeAll(() => {
    process.env.TZ = 'UTC';
  });
  afterAll(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  // The expectations are what openvpn 2.6.14 wrote in the same set-up.
  test('of a server, version 1', () => {
    expect(serverStatus([CLIENT], frame(1))).toEqual([
      'OpenVPN CLIENT LIST',
      'Updated,2026-11-21 05:46:24',
      'Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since',
      'client1,10.77.1.2:58290,2180,2207,2026-11-21 05:46:22',
      'ROUTING TABLE',
      'Virtual Address,Common Name,Real Address,Last Ref',
      '10.8.0.20,client1,10.77.1.2:58290,2026-11-21 05:46:22',
      'fd08::1012,client1,10.77.1.2:58290,2026-11-21 05:46:22',
      'GLOBAL STATS',
      'Max bcast/mcast queue length,0',
      'END',
    ]);
  });

  test('of a server, versions 2 and 3', () => {
    const lines = [
      'TITLE,OpenVPN 2.6.14',
      'TIME,2026-11-21 05:46:24,1795239984',
      'HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher',
      'CLIENT_LIST,client1,10.77.1.2:58290,10.8.0.20,fd08::1012,2180,2207,2026-11-21 05:46:22,1795239982,UNDEF,0,0,AES-256-GCM',
      'CLIENT_LIST,UNDEF,10.77.1.3:4,,,2180,2207,2026-11-21 05:46:22,1795239982,UNDEF,1,1,',
      'HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)',
      'ROUTING_TABLE,10.8.0.20,client1,10.77.1.2:58290,2026-11-21 05:46:22,1795239982',
      'ROUTING_TABLE,fd08::1012,client1,10.77.1.2:58290,2026-11-21 05:46:22,1795239982',
      'GLOBAL_STATS,Max bcast/mcast queue length,0',
      'GLOBAL_STATS,dco_enabled,0',
      'END',
    ];
    expect(serverStatus([CLIENT, STRANGER], frame(2))).toEqual(lines);
    expect(serverStatus([CLIENT, STRANGER], frame(3))).toEqual(lines.map((line) => line.replaceAll(',', '\t')));
  });

  test('version 4, of our own, is 3 with the listener of each client', () => {
    const third = serverStatus([CLIENT, STRANGER], frame(3));
    const fourth = serverStatus([{ ...CLIENT, listener: 'office' }, STRANGER], frame(4));
    expect(fourth).toEqual(
      third.map((line, index) =>
        index === 2 ? `${line}\tListener` : index === 3 ? `${line}\toffice` : index === 4 ? `${line}\t` : line,
      ),
    );
  });

  test('a name from a certificate stays one field of one line', () => {
    const [, , , line] = serverStatus([{ ...CLIENT, commonName: 'a,b\nEND\tc\x7fü' }], frame(2));
    expect(line.split(',').slice(0, 3)).toEqual(['CLIENT_LIST', 'a_b_END_c_ü', '10.77.1.2:58290']);
  });

  test('addresses as stock shows them: IPv6 without a port', () => {
    expect(statusAddress(linkAddress({ family: 4, address: '10.77.1.2', port: 5 }))).toBe('10.77.1.2:5');
    expect(statusAddress(linkAddress({ family: 6, address: 'fd77:1::2', port: 5 }))).toBe('fd77:1::2');
  });

  test('of a client', () => {
    const counters = {
      receivedPackets: 3,
      receivedBytes: 300,
      sentPackets: 3,
      sentBytes: 310,
      payloadBytesIn: 168,
      payloadBytesOut: 216,
      pingsIn: 1,
      pingsOut: 0,
      notAuthentic: 0,
      replayed: 0,
      largestReceived: 108,
      largestSent: 108,
    };
    const traffic = { counters, controlBytesIn: 2000, controlBytesOut: 1900 };
    expect(clientStatistics(traffic, 1_795_239_984)).toEqual([
      'OpenVPN STATISTICS',
      'Updated,2026-11-21 05:46:24',
      'TUN/TAP read bytes,216',
      'TUN/TAP write bytes,168',
      'TCP/UDP read bytes,2300',
      'TCP/UDP write bytes,2210',
      'Auth read bytes,184',
      'END',
    ]);
  });
});
