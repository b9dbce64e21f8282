import { describe, expect, test } from 'vitest';
import { editPushList, parseClientConfig } from '../src/index.js';

test('a client-config file', () => {
  const { config, log } = parseClientConfig(
    '# Joe\nifconfig-push 10.8.0.9 255.255.255.0\nifconfig-ipv6-push fd00::9/64 fd00::1\niroute 192.168.7.0 255.255.255.0\n' +
      'iroute 192.168.8.1\niroute-ipv6 fd00:7::/48\npush "route 10.9.0.0"\ndata-ciphers AES-128-GCM\nping 9\n',
    'ccd/joe',
  );
  expect(log).toEqual([]);
  expect(config).toMatchObject({
    disabled: false,
    ifconfig: { local: '10.8.0.9', remoteOrNetmask: '255.255.255.0', alias: undefined },
    ifconfigIpv6: { local: 'fd00::9', bits: 64, remote: 'fd00::1' },
    iroutes: [
      { network: '192.168.7.0', netmask: '255.255.255.0' },
      { network: '192.168.8.1', netmask: '255.255.255.255' },
    ],
    iroutesIpv6: [{ network: 'fd00:7::', bits: 48 }],
    pushEdits: [{ edit: 'push', option: 'route 10.9.0.0' }],
    dataCiphers: 'AES-128-GCM',
    pingSeconds: 9,
  });
});

test('disable', () => {
  expect(parseClientConfig('disable\n', 'ccd/joe').config.disabled).toBe(true);
  expect(parseClientConfig('', 'ccd/joe').config.disabled).toBe(false);
});

describe('bad lines are logged and skipped', () => {
  test.each([
    ['verb 3', "Options error: option 'verb' cannot be used in this context (ccd/joe:1)"],
    ['route 10.0.0.0', "Options error: option 'route' cannot be used in this context (ccd/joe:1)"],
    ['up script', "Options error: option 'up' cannot be used in this context (ccd/joe:1)"],
    [
      'iroute 192.168.7.1 255.255.255.0',
      'Options error: in --iroute 192.168.7.1 255.255.255.0 : Bad network/subnet specification',
    ],
    ['iroute-ipv6 fd00::1/64', 'Options error: in --iroute-ipv6 fd00::1/64: Bad IPv6 prefix specification'],
    ['foo', 'Options error: Unrecognized option or missing or extra parameter(s) in ccd/joe:1: foo'],
    ['config other', "Options error: option 'config' is not supported yet in client-config files"],
    ['push "a,b"', "Options error: PUSH OPTION FAILED (illegal comma (',') in string): 'a,b'"],
  ])('%s', (line, words) => {
    const { config, log } = parseClientConfig(`${line}\nping 5\n`, 'ccd/joe');
    expect(log).toHaveLength(1);
    expect(log[0]?.startsWith(words) ? words : log[0]).toBe(words);
    expect(config.pingSeconds).toBe(5);
  });
});

describe('the push list of one client', () => {
  const server = ['route 10.1.0.0', 'route-gateway 10.8.0.1', 'topology subnet', 'ping 10'];
  const edit = (text: string): readonly string[] =>
    editPushList(server, parseClientConfig(text, 'ccd/joe').config.pushEdits);
  test('grows', () => expect(edit('push "verb 4"\n')).toEqual([...server, 'verb 4']));
  test('is emptied by push-reset, then grows again', () => {
    expect(edit('push "verb 4"\npush-reset\npush "verb 5"\n')).toEqual(['verb 5']);
  });
  test('loses by push-remove what begins with the text', () => {
    expect(edit('push-remove route\n')).toEqual(['topology subnet', 'ping 10']);
    expect(edit('push-remove "route "\n')).toEqual(['route-gateway 10.8.0.1', 'topology subnet', 'ping 10']);
    expect(edit('push-remove subnet\n')).toEqual(server);
  });
  test('push-remove ifconfig-ipv6 keeps the address away', () => {
    const blocked = (text: string): boolean => parseClientConfig(text, 'x').config.ifconfigIpv6Blocked;
    expect([blocked('push-remove ifconfig-ipv6\n'), blocked('push-remove ifconfig\n')]).toEqual([true, false]);
  });
});
