import { describe, expect, test } from 'vitest';
import { IpCommandError, type IpProgram } from '../src/host/ip-command.js';
import { gatewayTo, type HostRoute, localNetworkOf, RouteKeeper } from '../src/host/routes.js';

/** An `ip` that answers what `answers` say for the arguments as one text, and prints nothing otherwise. */
function fakeIp(answers: Readonly<Record<string, string | Error>> = {}): { program: IpProgram; calls: string[] } {
  const calls: string[] = [];
  const run = async (...args: readonly string[]): Promise<string> => {
    const call = args.join(' ');
    calls.push(call);
    const answer = answers[call] ?? '';
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const each = async (commands: readonly string[]): Promise<(string | undefined)[]> => {
    calls.push(...commands);
    return commands.map((command) => (answers[command] instanceof Error ? answers[command].message : undefined));
  };
  return { program: { run, each }, calls };
}

const ROUTE: HostRoute = { family: 4, network: '10.1.0.0', prefixBits: 16, gateway: '10.8.0.1' };
const IPV6: HostRoute = { family: 6, network: 'fd01::', prefixBits: 32, device: 'tun7', metric: 5 };

describe('routes that this process puts into the system', () => {
  test('leave again, last first, and are told of in OpenVPN’s words', async () => {
    const lines: string[] = [];
    const { program, calls } = fakeIp();
    const keeper = new RouteKeeper((line) => lines.push(line), program);
    await keeper.add([ROUTE, IPV6]);
    await keeper.removeAll();
    expect(calls).toEqual([
      'route add 10.1.0.0/16 via 10.8.0.1',
      'route add fd01::/32 dev tun7 metric 5',
      'route del fd01::/32 dev tun7 metric 5',
      'route del 10.1.0.0/16 via 10.8.0.1',
    ]);
    expect(lines).toEqual([
      'net_route_v4_add: 10.1.0.0/16 via 10.8.0.1 dev [NULL] table 0 metric -1',
      'net_route_v6_add: fd01::/32 via :: dev tun7 table 0 metric 5',
      'net_route_v6_del: fd01::/32 via :: dev tun7 table 0 metric 5',
      'net_route_v4_del: 10.1.0.0/16 via 10.8.0.1 dev [NULL] table 0 metric -1',
    ]);
    await keeper.removeAll();
    expect(calls).toHaveLength(4);
  });

  test('change to others: what stays is not touched, what goes goes before what comes', async () => {
    const { program, calls } = fakeIp();
    const keeper = new RouteKeeper(() => {}, program);
    const other: HostRoute = { ...ROUTE, network: '10.2.0.0' };
    await keeper.add([ROUTE, IPV6]);
    calls.splice(0);
    await keeper.change([other, IPV6]);
    expect(calls).toEqual(['route del 10.1.0.0/16 via 10.8.0.1', 'route add 10.2.0.0/16 via 10.8.0.1']);
    calls.splice(0);
    await keeper.change([other, IPV6]);
    expect(calls).toEqual([]);
    await keeper.removeAll();
    expect(calls).toEqual(['route del 10.2.0.0/16 via 10.8.0.1', 'route del fd01::/32 dev tun7 metric 5']);
  });

  test('are left alone where they stood before', async () => {
    const lines: string[] = [];
    const exists = new IpCommandError('RTNETLINK answers: File exists');
    const { program, calls } = fakeIp({ 'route add 10.1.0.0/16 via 10.8.0.1': exists });
    const keeper = new RouteKeeper((line) => lines.push(line), program);
    await keeper.add([ROUTE, IPV6]);
    expect(lines.at(-1)).toBe('NOTE: Linux route add command failed because route exists (10.1.0.0/16 via 10.8.0.1)');
    await keeper.removeAll();
    expect(calls.slice(2)).toEqual(['route del fd01::/32 dev tun7 metric 5']);
  });

  test('that the system refuses are a warning', async () => {
    const lines: string[] = [];
    const invalid = new IpCommandError('Error: Nexthop has invalid gateway.');
    const { program, calls } = fakeIp({ 'route add 10.1.0.0/16 via 10.8.0.1': invalid });
    const keeper = new RouteKeeper((line) => lines.push(line), program);
    await keeper.add([ROUTE]);
    expect(lines.at(-1)).toBe(
      'ERROR: Linux route add command failed: Error: Nexthop has invalid gateway. (10.1.0.0/16 via 10.8.0.1)',
    );
    await keeper.removeAll();
    expect(calls).toHaveLength(1);
  });

  test('may be gone by the time they are removed', async () => {
    const { program, calls } = fakeIp({ 'route del 10.1.0.0/16 via 10.8.0.1': new IpCommandError('No such process') });
    const keeper = new RouteKeeper(() => {}, program);
    await keeper.add([ROUTE, IPV6]);
    await keeper.removeAll();
    expect(calls).toHaveLength(4);
    const gone = new RouteKeeper(() => {}, {
      run: program.run,
      each: async (commands) => {
        if (commands[0]?.startsWith('route del')) throw new IpCommandError('the program `ip` is missing');
        return [];
      },
    });
    await gone.add([ROUTE]);
    await expect(gone.removeAll()).resolves.toBeUndefined();
  });
});

describe('default routes that are displaced', () => {
  const shown = [
    'default via 192.168.1.1 dev eth0 proto dhcp metric 100 ',
    'default via 192.168.2.1 dev wlan0 metric 600 linkdown ',
    '',
  ].join('\n');

  test('come back as they were, without the words that only ip prints', async () => {
    const { program, calls } = fakeIp({ '-4 route show default': shown });
    const keeper = new RouteKeeper(() => {}, program);
    await keeper.displaceDefault(4);
    await keeper.removeAll();
    expect(calls.slice(1)).toEqual([
      '-4 route del default via 192.168.1.1 dev eth0 proto dhcp metric 100',
      '-4 route del default via 192.168.2.1 dev wlan0 metric 600',
      '-4 route add default via 192.168.2.1 dev wlan0 metric 600',
      '-4 route add default via 192.168.1.1 dev eth0 proto dhcp metric 100',
    ]);
  });

  test('that cannot come back are told of, and the others still do', async () => {
    const lines: string[] = [];
    const { program, calls } = fakeIp({
      '-4 route show default': shown,
      '-4 route add default via 192.168.2.1 dev wlan0 metric 600': new IpCommandError('Network is down'),
    });
    const keeper = new RouteKeeper((line) => lines.push(line), program);
    await keeper.displaceDefault(4);
    await keeper.removeAll();
    expect(lines.at(-2)).toContain('cannot restore the default route');
    expect(calls.at(-1)).toBe('-4 route add default via 192.168.1.1 dev eth0 proto dhcp metric 100');
  });

  test('where there is none nothing happens', async () => {
    const { program, calls } = fakeIp();
    const keeper = new RouteKeeper(() => {}, program);
    await keeper.displaceDefault(6);
    await keeper.removeAll();
    expect(calls).toEqual(['-6 route show default']);
  });
});

describe('how the system reaches an address', () => {
  test('by a gateway, on the link, or not at all', async () => {
    const { program } = fakeIp({
      '-j -4 route get 203.0.113.5': '[{"dst":"203.0.113.5","gateway":"192.168.1.1","dev":"eth0"}]',
      '-j -4 route get 192.168.1.9': '[{"dst":"192.168.1.9","dev":"eth0"}]',
      '-j -6 route get 2001:db8::5': '[{"dst":"2001:db8::5","gateway":"fe80::1","dev":"eth1"}]',
      '-j -4 route get 198.51.100.1': new IpCommandError('RTNETLINK answers: Network is unreachable'),
      '-j -4 route get 198.51.100.2': 'not JSON',
      '-j -4 route get 198.51.100.3': '[]',
    });
    expect(await gatewayTo('203.0.113.5', program)).toEqual({ gateway: '192.168.1.1', device: 'eth0' });
    expect(await gatewayTo('192.168.1.9', program)).toEqual({ device: 'eth0' });
    expect(await gatewayTo('2001:db8::5', program)).toEqual({ gateway: 'fe80::1', device: 'eth1' });
    for (const end of [1, 2, 3]) expect(await gatewayTo(`198.51.100.${end}`, program)).toBeUndefined();
  });

  test('the network of a gateway is the one that holds it', async () => {
    const { program } = fakeIp({
      '-j -4 route show dev eth0 scope link':
        '[{"dst":"169.254.0.0/16"},{"dst":"192.168.1.0/24"},{"dst":"192.168.1.7"},{}]',
    });
    const gateway = { gateway: '192.168.1.1', device: 'eth0' };
    expect(await localNetworkOf(gateway, program)).toEqual({ network: '192.168.1.0', prefixBits: 24 });
    expect(await localNetworkOf({ gateway: '10.0.0.1', device: 'eth0' }, program)).toBeUndefined();
    expect(await localNetworkOf({ device: 'eth0' }, program)).toBeUndefined();
    const { program: broken } = fakeIp({
      '-j -4 route show dev eth0 scope link': new IpCommandError('Cannot find device'),
    });
    expect(await localNetworkOf(gateway, broken)).toBeUndefined();
  });
});
