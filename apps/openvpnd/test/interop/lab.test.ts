import { Lab, labReady, PATIENCE_MS, ping, startPing, tcpThroughput, udpEcho } from '@openvpnd/testkit/node';
import { describe, expect, test } from 'vitest';

const ready = labReady('ping');

describe.skipIf(!ready)('the laboratory itself', () => {
  test('two namespaces reach each other over both families, and nothing else', () =>
    Lab.use(async (lab) => {
      const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
      const network = await lab.join([a, b]);
      const { ipv4, ipv6 } = network.addressesOf(b);
      expect((await ping(a, ipv4, { count: 2 })).received).toBe(2);
      expect((await ping(a, ipv6, { count: 2 })).received).toBe(2);
      const outside = await a.run('ip', ['route', 'get', '192.0.2.1'], PATIENCE_MS);
      expect(outside.output).toMatch(/unreachable/i);
    }));

  test('three namespaces meet at a bridge', () =>
    Lab.use(async (lab) => {
      const members = [await lab.namespace('a'), await lab.namespace('b'), await lab.namespace('c')];
      const network = await lab.join(members);
      const [a, b, c] = members as [(typeof members)[0], (typeof members)[0], (typeof members)[0]];
      expect((await ping(a, network.addressesOf(c).ipv4, { count: 2 })).received).toBe(2);
      expect((await ping(c, network.addressesOf(b).ipv6, { count: 2 })).received).toBe(2);
    }));

  test('the probes measure', () =>
    Lab.use(async (lab) => {
      const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
      const { ipv4 } = (await lab.join([a, b])).addressesOf(b);
      const echo = await udpEcho(a, b, ipv4, { count: 5 });
      expect(echo.received).toBe(5);
      expect(echo.medianMs).toBeGreaterThan(0);
      const stream = await tcpThroughput(a, b, ipv4, { seconds: 0.3 });
      expect(stream.bytes).toBeGreaterThan(100_000);
      const continuous = startPing(a, ipv4);
      await continuous.reply();
      const { sent, received } = await continuous.finish();
      expect(received).toBe(sent);
    }));

  test('a lab that fails leaves nothing behind', async () => {
    let pid = 0;
    let directory = '';
    await expect(
      Lab.use(async (lab) => {
        const namespace = await lab.namespace('a');
        directory = lab.directory;
        pid = namespace.start('sleep', ['600']).pid as number;
        throw new Error('on purpose');
      }),
    ).rejects.toThrow('on purpose');
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    const { existsSync } = await import('node:fs');
    expect(existsSync(directory)).toBe(false);
  });
});
