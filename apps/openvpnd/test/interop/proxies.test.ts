import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HttpProxySettings,
  Lab,
  type LabNamespace,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  type SocksProxySettings,
  startTestProxy,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, type Proto, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PROXY_PORT = 3128;
const USER = 'alice';
const PASSWORD = 'secret';
const KNOWN = { user: USER, password: PASSWORD };

/** A client on one network, a server on another, and a proxy on both: there is no other way between them. */
class ProxiedSite {
  readonly lab: Lab;
  readonly site: Site;
  readonly client: LabNamespace;
  readonly proxy: LabNamespace;
  /** The proxy as the client sees it. */
  readonly addresses: { readonly ipv4: string; readonly ipv6: string };

  private constructor(lab: Lab, site: Site, client: LabNamespace, addresses: ProxiedSite['addresses']) {
    this.lab = lab;
    this.site = site;
    this.proxy = site.clientPlaces[0];
    this.client = client;
    this.addresses = addresses;
  }

  static async create(lab: Lab, tls: TestPki, proto: Proto): Promise<ProxiedSite> {
    const site = await Site.create(lab, tls, { proto });
    const client = await lab.namespace('behind');
    const network = await lab.join([client, site.clientPlaces[0]]);
    return new ProxiedSite(lab, site, client, network.addressesOf(site.clientPlaces[0]));
  }

  http(http: HttpProxySettings): Promise<RunningProcess> {
    return startTestProxy(this.proxy, { kind: 'http', http, listen: { address: '::', port: PROXY_PORT } });
  }

  socks(socks: SocksProxySettings = {}): Promise<RunningProcess> {
    const names = { 'vpn.example': this.site.serverAddresses.ipv4, 'six.example': this.site.serverAddresses.ipv6 };
    const listen = { address: '::', port: PROXY_PORT };
    return startTestProxy(this.proxy, { kind: 'socks', socks: { names, ...socks }, listen });
  }

  login(name: string, password = PASSWORD, user = USER): string {
    const path = join(this.lab.directory, name);
    writeFileSync(path, `${user}\n${password}\n`, { mode: 0o600 });
    return path;
  }

  /** Starts a client behind the proxy without waiting for the tunnel. */
  startClient(program: Program, extra: readonly string[], remote?: string): Promise<RunningProcess> {
    return this.site.startClient(program, 0, ['connect-retry 1', 'verb 4', ...extra], {
      place: this.client,
      ...(remote === undefined ? {} : { remote: { address: remote, port: 1194 } }),
    });
  }

  async connectClient(program: Program, extra: readonly string[], remote?: string): Promise<RunningProcess> {
    const running = await this.startClient(program, extra, remote);
    await running.waitForLine(UP, UP_TIMEOUT_MS);
    return running;
  }

  async expectTunnel(): Promise<void> {
    expect((await ping(this.client, '10.8.0.1', { count: 10, interval: 0.02 })).received).toBe(10);
    expect((await ping(this.client, '10.8.0.1', { count: 3, interval: 0.05, size: 1400 })).received).toBe(3);
  }
}

interface HttpCase {
  readonly name: string;
  readonly proxy: HttpProxySettings;
  /** Lines for the client whose login is in the file. */
  readonly client: (place: ProxiedSite, login: string) => readonly string[];
  /** What the stock client can do too: it has an error in MD5-sess, no SHA-256, and for NTLM it wants OpenSSL's legacy provider. */
  readonly stock: boolean;
}

const http = (place: ProxiedSite, words = ''): string => `http-proxy ${place.addresses.ipv4} ${PROXY_PORT} ${words}`;
const automatic = (place: ProxiedSite, login: string): string[] => [
  http(place, 'auto-nct'),
  `http-proxy-user-pass ${login}`,
];

const HTTP_CASES: readonly HttpCase[] = [
  { name: 'basic', proxy: { auth: 'basic' }, client: (place, login) => [http(place, `${login} basic`)], stock: true },
  {
    name: 'basic, as the proxy asks for it',
    proxy: { auth: 'basic', keepAlive: false },
    client: (place, login) => [http(place, 'auto'), `http-proxy-user-pass ${login}`],
    stock: true,
  },
  { name: 'digest', proxy: { auth: 'digest' }, client: automatic, stock: true },
  { name: 'digest with MD5-sess', proxy: { auth: 'digest', algorithm: 'MD5-sess' }, client: automatic, stock: false },
  { name: 'digest with SHA-256', proxy: { auth: 'digest', algorithm: 'SHA-256' }, client: automatic, stock: false },
  { name: 'NTLM', proxy: { auth: 'ntlm' }, client: (place, login) => [http(place, `${login} ntlm2`)], stock: false },
];

describe.skipIf(!ready)('Socket Rework: "add http-proxy plugin": through an HTTP proxy', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const program of ['openvpnd', 'openvpn'] as const) {
    test(`without a login, and over IPv6: client ${program}`, () =>
      Lab.use(async (lab) => {
        const place = await ProxiedSite.create(lab, tls, 'tcp4');
        await place.site.startServer('openvpn');
        const proxy = await place.http({ auth: 'none' });
        const client = await place.connectClient(program, [
          http(place),
          'http-proxy-option VERSION 1.1',
          'http-proxy-option AGENT "one two"',
          'http-proxy-option CUSTOM-HEADER X-Test yes',
        ]);
        await place.expectTunnel();
        const server = place.site.serverAddresses.ipv4;
        await proxy.waitForLine(/^connected /);
        const said = proxy.lines.slice(proxy.lines.indexOf('serving') + 1);
        expect(said.slice(0, 5)).toEqual([
          `CONNECT ${server}:1194 HTTP/1.1`,
          'header x-test: yes',
          `header host: ${server}`,
          'header user-agent: one two',
          `connected ${server}:1194`,
        ]);
        const gate = `\\[AF_INET\\]${place.addresses.ipv4}:${PROXY_PORT}`;
        const order = [
          `Attempting to establish TCP connection with ${gate}`,
          `TCP connection established with ${gate}`,
          `Send to HTTP proxy: 'CONNECT ${server}:1194 HTTP/1.1'`,
          "HTTP proxy returned: 'HTTP/1.1 200 Connection established'",
          `TCPv4_CLIENT link remote: ${gate}`,
        ];
        const found = order.map((text) => client.lines.findIndex((line) => new RegExp(text).test(line)));
        expect(found).not.toContain(-1);
        expect([...found].sort((a, b) => a - b)).toEqual(found);
        client.signal('SIGTERM');
        expect((await client.waitForEnd()).status).toBe(0);
        expect(client.countLines(STACK_TRACE)).toBe(0);
      }));
  }

  test('over IPv6', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp6');
      await place.site.startServer('openvpn');
      await place.http({ auth: 'none' });
      await place.connectClient('openvpnd', [`http-proxy ${place.addresses.ipv6} ${PROXY_PORT}`]);
      await place.expectTunnel();
    }));

  for (const one of HTTP_CASES) {
    for (const program of one.stock ? (['openvpnd', 'openvpn'] as const) : (['openvpnd'] as const)) {
      test(`${one.name} lets in who knows the password: client ${program}`, () =>
        Lab.use(async (lab) => {
          const place = await ProxiedSite.create(lab, tls, 'tcp4');
          await place.site.startServer('openvpn');
          await place.http({ ...one.proxy, ...KNOWN });
          const client = await place.connectClient(program, one.client(place, place.login('login')));
          await place.expectTunnel();
          if (program === 'openvpnd') expect(client.countLines(new RegExp(PASSWORD))).toBe(0);
        }));
    }

    test(`${one.name} keeps out who does not`, () =>
      Lab.use(async (lab) => {
        const place = await ProxiedSite.create(lab, tls, 'tcp4');
        const proxy = await place.http({ ...one.proxy, ...KNOWN });
        const client = await place.startClient('openvpnd', one.client(place, place.login('login', 'guessed')));
        await client.waitForLine(/SIGUSR1\[soft,HTTP proxy error\] received, process restarting/, UP_TIMEOUT_MS);
        await client.waitForLine(/Restart pause, 1 second/);
        expect(client.countLines(/^.*Proxy requires authentication$/)).toBeGreaterThan(0);
        expect(proxy.countLines(/^connected/)).toBe(0);
        client.signal('SIGTERM');
        expect((await client.waitForEnd()).status).toBe(0);
      }));
  }

  test('NTLM of the stock client, where OpenSSL has what it needs, is let in by the same proxy', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.site.startServer('openvpn');
      const proxy = await place.http({ auth: 'ntlm', ...KNOWN });
      await place.startClient('openvpn', [http(place, `${place.login('login')} ntlm2`), 'providers legacy default']);
      await proxy.waitForLine(/^connected/, UP_TIMEOUT_MS);
    }));

  test('a proxy that asks gets nothing from who has nothing, and none in the clear with auto-nct', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.http({ auth: 'basic', ...KNOWN });
      const plain = await place.startClient('openvpnd', [http(place)]);
      await plain.waitForLine(/HTTP proxy: no support for proxy authentication method/, UP_TIMEOUT_MS);
      plain.signal('SIGTERM');
      await plain.waitForEnd();
      const careful = await place.startClient('openvpnd', automatic(place, place.login('login')));
      await careful.waitForLine(/support for basic auth and other cleartext proxy auth methods is disabled/);
    }));

  test('a login that cannot be read ends the daemon at once', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      const client = await place.startClient('openvpnd', [http(place, '/nonexistent/login')]);
      expect((await client.waitForEnd()).status).toBe(1);
      expect(client.countLines(/--http-proxy fails with '\/nonexistent\/login': No such file or directory/)).toBe(1);
    }));

  test('a proxy that says nothing costs connect-timeout, and the next entry has another', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.site.startServer('openvpn');
      const silent = place.proxy.start(process.execPath, [
        '-e',
        "require('node:net').createServer(() => {}).listen(3129, () => console.log('silent'))",
      ]);
      await silent.waitForLine(/^silent$/);
      await place.http({ auth: 'none' });
      const server = place.site.serverAddresses.ipv4;
      const client = await place.startClient('openvpnd', [
        'connect-timeout 5',
        `<connection>\nremote ${server} 1194 tcp4\nhttp-proxy ${place.addresses.ipv4} 3129\n</connection>`,
        `<connection>\nremote ${server} 1194 tcp4\nhttp-proxy ${place.addresses.ipv4} ${PROXY_PORT}\n</connection>`,
      ]);
      await client.waitForLine(UP, UP_TIMEOUT_MS);
      expect(client.countLines(/HTTP proxy: it took the connection and does not answer/)).toBe(1);
      expect(client.countLines(/connect to .* failed/)).toBe(0);
      expect(client.countLines(/SIGUSR1\[soft,HTTP proxy error\]/)).toBe(1);
      await place.expectTunnel();
    }));
});

describe.skipIf(!ready)('Socket Rework: "and socks proxy plugins": through a SOCKS proxy', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  const socks = (place: ProxiedSite, login = ''): string =>
    `socks-proxy ${place.addresses.ipv4} ${PROXY_PORT} ${login}`;

  for (const proto of ['tcp4', 'udp4'] as const) {
    for (const program of ['openvpnd', 'openvpn'] as const) {
      test(`without a login and with one, ${proto}: client ${program}`, () =>
        Lab.use(async (lab) => {
          const place = await ProxiedSite.create(lab, tls, proto);
          await place.site.startServer('openvpn');
          const proxy = await place.socks(KNOWN);
          const client = await place.connectClient(program, [socks(place, place.login('login'))]);
          await place.expectTunnel();
          await proxy.waitForExactly(/^user alice: accepted$/, 1);
          await proxy.waitForExactly(new RegExp(`^command ${proto === 'tcp4' ? 1 : 3} `), 1);
          client.signal('SIGTERM');
          expect((await client.waitForEnd()).status).toBe(0);
          if (program === 'openvpnd' && proto === 'udp4') await proxy.waitForLine(/^association over$/);
          const wrong = await place.startClient(program, [socks(place, place.login('wrong', 'guessed'))]);
          await wrong.waitForLine(/socks_username_password_auth: server refused the authentication/, UP_TIMEOUT_MS);
          await wrong.waitForLine(/SIGUSR1\[soft,socks-error\] received, process restarting/);
        }));
    }

    test(`to a name that the proxy alone knows, ${proto}`, () =>
      Lab.use(async (lab) => {
        const place = await ProxiedSite.create(lab, tls, proto);
        await place.site.startServer('openvpn');
        const proxy = await place.socks();
        await place.connectClient('openvpnd', [socks(place)], 'vpn.example');
        await place.expectTunnel();
        await proxy.waitForExactly(/type 3 vpn\.example:1194$/, 1);
      }));
  }

  for (const proto of ['tcp6', 'udp6'] as const) {
    test(`over IPv6 to an address and to a name, ${proto}`, () =>
      Lab.use(async (lab) => {
        const place = await ProxiedSite.create(lab, tls, proto);
        await place.site.startServer('openvpn');
        await place.socks();
        const through = [`socks-proxy ${place.addresses.ipv6} ${PROXY_PORT}`];
        const client = await place.connectClient('openvpnd', through);
        await place.expectTunnel();
        client.signal('SIGTERM');
        await client.waitForEnd();
        await place.connectClient('openvpnd', through, 'six.example');
        await place.expectTunnel();
      }));
  }

  test('UDP goes on past fragments and strangers, and comes back when the proxy has hung up', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'udp4');
      await place.site.startServer('openvpn');
      const proxy = await place.socks({ disturb: true });
      const client = await place.connectClient('openvpnd', [socks(place)]);
      await place.expectTunnel();
      expect(client.countLines(/decrypt|TLS Error|replay/i)).toBe(0);
      const from = client.lines.length;
      proxy.signal('SIGUSR2');
      await client.waitForLine(/Connection reset, restarting \[0\]/, PATIENCE_MS, from);
      await client.waitForLine(/SIGUSR1\[soft,connection-reset\] received, process restarting/, PATIENCE_MS, from);
      await client.waitForLine(UP, UP_TIMEOUT_MS, from);
      await place.expectTunnel();
    }));

  test('a server that is not there is an error of the proxy', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.socks();
      const client = await place.startClient('openvpnd', [socks(place)]);
      await client.waitForLine(/recv_socks_reply: Socks proxy returned bad reply/, UP_TIMEOUT_MS);
      await client.waitForLine(/SIGUSR1\[soft,socks-error\] received, process restarting/);
    }));
});

describe.skipIf(!labReady('openvpn', 'ping', 'tinyproxy', 'microsocks'))('through proxies of others', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('tinyproxy, with and without the password', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.site.startServer('openvpn');
      const file = join(lab.directory, 'tinyproxy.conf');
      const lines = [
        `Port ${PROXY_PORT}`,
        'Timeout 60',
        'MaxClients 10',
        `BasicAuth ${USER} ${PASSWORD}`,
        'LogLevel Connect',
      ];
      writeFileSync(file, `${lines.join('\n')}\n`);
      const proxy = place.proxy.start('tinyproxy', ['-d', '-c', file]);
      // Its last words before it listens: who comes too early tries again.
      await proxy.waitForLine(/Initializing tinyproxy/);
      const wrong = await place.startClient('openvpnd', [http(place, `${place.login('wrong', 'guessed')} basic`)]);
      await wrong.waitForLine(/SIGUSR1\[soft,HTTP proxy error\] received/, UP_TIMEOUT_MS);
      wrong.signal('SIGTERM');
      await wrong.waitForEnd();
      await place.connectClient('openvpnd', [http(place, 'auto'), `http-proxy-user-pass ${place.login('login')}`]);
      await place.expectTunnel();
    }));

  test('microsocks, with and without the password', () =>
    Lab.use(async (lab) => {
      const place = await ProxiedSite.create(lab, tls, 'tcp4');
      await place.site.startServer('openvpn');
      place.proxy.start('microsocks', ['-p', String(PROXY_PORT), '-u', USER, '-P', PASSWORD]);
      const through = `socks-proxy ${place.addresses.ipv4} ${PROXY_PORT}`;
      // It does not say when it listens: until then the connection is refused, and tried again.
      const client = await place.connectClient('openvpnd', [`${through} ${place.login('login')}`]);
      await place.expectTunnel();
      client.signal('SIGTERM');
      await client.waitForEnd();
      const wrong = await place.startClient('openvpnd', [`${through} ${place.login('wrong', 'guessed')}`]);
      await wrong.waitForLine(/socks_username_password_auth: server refused the authentication/, UP_TIMEOUT_MS);
    }));
});
