import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FinishedProcess, Lab, type LabNamespace, labReady } from '@openvpnd/testkit/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DAEMON, STACK_TRACE, startProgram, TestPki } from './tunnel-lab.js';

const ready = labReady();

/** Whatever is wrong is told long before, on a busy machine too; who is still there hangs. */
const END_TIMEOUT_MS = 30_000;

const SERVER = [
  'dev tun',
  'proto udp4',
  'server 10.8.0.0 255.255.255.0',
  'topology subnet',
  'ca ca.crt',
  'cert server.crt',
  'key server.key',
  'dh none',
  'keepalive 10 60',
];
const CLIENT = [
  'client',
  'dev tun',
  'proto udp4',
  'remote 127.0.0.1 1194',
  'nobind',
  'ca ca.crt',
  'cert client.crt',
  'key client.key',
  'remote-cert-tls server',
];

interface BadInput {
  readonly title: string;
  readonly config: string | Buffer;
  /** A line that must be there; where a file or an option is at fault, it names it. */
  readonly line: RegExp;
}

const server = (...more: string[]): string => [...SERVER, ...more, ''].join('\n');
const client = (...more: string[]): string => [...CLIENT, ...more, ''].join('\n');
const replaced = (config: string, line: string, by: string): string => {
  if (!config.includes(`${line}\n`)) throw new RangeError(`no such line: ${line}`);
  return config.replace(`${line}\n`, by === '' ? '' : `${by}\n`);
};

const STATEMENTS: readonly BadInput[] = [
  {
    title: 'a part of the data path that there is not',
    config: server('setenv OPENVPND_DATA_PATH fast'),
    line: /Options error: setenv OPENVPND_DATA_PATH: "fast" is none of no-tso/,
  },
  { title: 'an unknown option', config: server('frobnicate 1'), line: /bad\.conf:10: frobnicate \(/ },
  { title: 'a missing parameter', config: server('ping-restart'), line: /bad\.conf:10: ping-restart \(the form is/ },
  { title: 'an extra parameter', config: server('port 1 2'), line: /bad\.conf:10: port \(the form is/ },
  { title: 'a word for a number', config: server('reneg-sec x'), line: /'x'.*bad\.conf:10: reneg-sec/ },
  { title: 'a number out of range', config: server('port 70000'), line: /'70000'.*bad\.conf:10: port/ },
  {
    title: 'a line of 257 bytes',
    config: server(`setenv X ${'a'.repeat(257)}`),
    line: /bad\.conf:10: Maximum option line/,
  },
  { title: '17 parameters', config: server(`setenv ${'a '.repeat(17)}`), line: /bad\.conf:10: setenv \(/ },
  { title: 'an open quote', config: server('setenv X "abc'), line: /No closing quotation.*bad\.conf:10/ },
  { title: 'a bad backslash', config: server('setenv X a\\bc'), line: /Bad backslash.*bad\.conf:10/ },
  { title: 'an unclosed block', config: server('<ca>', 'abc'), line: /Endtag <\/ca> missing.*bad\.conf:10/ },
  { title: 'a block of no option', config: server('<frob>', 'x', '</frob>'), line: /bad\.conf:10: frob/ },
  { title: 'a file that includes itself', config: 'config bad.conf\n', line: /recursive include levels exceeded/ },
  {
    title: 'a server with a remote',
    config: server('remote 192.0.2.1'),
    line: /--remote cannot be used with --mode server/,
  },
  {
    title: 'a server that is a client',
    config: server('client'),
    line: /--server and --client cannot be used together/,
  },
  {
    title: 'a netmask with a hole',
    config: server('route 10.0.0.0 255.0.255.0'),
    line: /255\.0\.255\.0.*bad\.conf:10/,
  },
  { title: 'a cipher that does not exist', config: server('data-ciphers FOO'), line: /data-ciphers.*FOO/ },
  {
    title: 'TLS versions crossed',
    config: server('tls-version-min 1.3', 'tls-version-max 1.2'),
    line: /tls-version-min bigger/,
  },
  {
    title: 'an option of the future',
    config: server('management 127.0.0.1 7505'),
    line: /'management' is not supported yet \(bad\.conf:10\)/,
  },
  {
    title: 'an interface with a long name',
    config: replaced(server(), 'dev tun', `dev ${'t'.repeat(16)}`),
    line: /--dev:.*bad\.conf:1/,
  },
  { title: 'no remote', config: replaced(client(), 'remote 127.0.0.1 1194', ''), line: /remote/ },
  { title: 'an empty file', config: '', line: /You must define TUN\/TAP device/ },
  {
    title: 'CR LF and a byte order mark',
    config: `\ufeff${server('frobnicate')}`.replaceAll('\n', '\r\n'),
    line: /bad\.conf:10: frobnicate \(/,
  },
  { title: 'UTF-16', config: Buffer.from(`\ufeff${server()}`, 'utf16le'), line: /bad\.conf: the file is UTF-16/ },
  { title: 'zero bytes', config: server('setenv X a\0b'), line: /bad\.conf: the file holds zero bytes/ },
  { title: 'escape codes', config: server('frob\x1b[31m\x07'), line: /bad\.conf:10: frob\?/ },
];

const file = (line: string, by: string, pattern: RegExp): BadInput => ({
  title: by,
  config: replaced(server(), line, by),
  line: pattern,
});
const FILES: readonly BadInput[] = [
  file('ca ca.crt', 'ca nowhere', /--ca fails with 'nowhere': No such file or directory \(errno=2\)/),
  file('ca ca.crt', 'ca directory', /--ca fails with 'directory': Is a directory/),
  file('ca ca.crt', 'ca fifo', /CA certificate file fifo \(option 'ca', bad\.conf:5\)/),
  file('ca ca.crt', 'ca empty', /CA certificate file empty \(option 'ca', bad\.conf:5\)/),
  file('ca ca.crt', 'ca noise', /CA certificate file noise \(option 'ca', bad\.conf:5\)/),
  file('cert server.crt', 'cert server.key', /certificate file server\.key \(option 'cert', bad\.conf:6\)/),
  file('key server.key', 'key /dev/zero', /--key fails with '\/dev\/zero': larger than/),
  file('key server.key', 'key server.crt', /private key file server\.crt \(option 'key', bad\.conf:7\)/),
  file(
    'key server.key',
    'key client.key',
    /client\.key \(option 'key', bad\.conf:7\): the private key does not belong/,
  ),
  file(
    'key server.key',
    'key encrypted.key',
    /encrypted\.key \(option 'key', bad\.conf:7\): the private key is encrypted/,
  ),
  file('dh none', 'dh noise', /DH parameters from noise \(option 'dh', bad\.conf:8\)/),
  {
    title: 'crl-verify noise',
    config: server('crl-verify noise'),
    line: /CRL from file noise \(option 'crl-verify', bad\.conf:10\)/,
  },
  {
    title: 'client-config-dir nowhere',
    config: server('client-config-dir nowhere'),
    line: /--client-config-dir fails with 'nowhere'/,
  },
  { title: 'writepid directory', config: server('writepid directory'), line: /pid file directory: Is a directory/ },
  { title: 'writepid fifo', config: server('writepid fifo'), line: /pid file fifo/ },
  { title: 'log directory', config: server('log directory'), line: /--log fails with 'directory': Is a directory/ },
  { title: 'log fifo', config: server('log fifo'), line: /--log fails with 'fifo'/ },
  { title: 'cd empty', config: server('cd empty'), line: /--cd fails with 'empty': Not a directory/ },
  { title: 'auth-user-pass empty', config: client('auth-user-pass empty'), line: /auth-user-pass: 'empty'/ },
];

const HOST: readonly BadInput[] = [
  {
    title: 'an address of nobody',
    config: server('local 203.0.113.9'),
    line: /Socket bind failed.*203\.0\.113\.9.*errno=99/,
  },
  {
    title: 'a name of nobody',
    config: server('local nobody.invalid'),
    line: /Cannot resolve host address: nobody\.invalid/,
  },
  {
    title: 'a device node that is none',
    config: server('dev-node /dev/null'),
    line: /Cannot open TUN\/TAP dev \/dev\/null: Operation not/,
  },
  {
    title: 'no device node',
    config: server('dev-node nowhere'),
    line: /Cannot open TUN\/TAP dev nowhere: No such file/,
  },
];

/** No bad input is worth more than that: OpenVPN's headings, what is wrong, and where help is. */
const MOST_LINES = 14;

describe.skipIf(!ready)('bad input', () => {
  let lab: Lab;
  let place: LabNamespace;
  let directories = 0;

  beforeAll(async () => {
    lab = new Lab();
    place = await lab.namespace('host');
    const tls = await TestPki.create();
    const own = await tls.client('client');
    const files: Record<string, string | Buffer> = {
      'ca.crt': tls.pki.ca,
      'server.crt': tls.server.cert,
      'server.key': tls.server.key,
      'client.crt': own.cert,
      'client.key': own.key,
      empty: '',
      noise: Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) & 255)),
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(lab.directory, name), content);
    const encrypt = ['pkcs8', '-topk8', '-in', 'server.key', '-out', 'encrypted.key', '-passout', 'pass:secret'];
    execFileSync('openssl', encrypt, { cwd: lab.directory });
  });
  afterAll(() => lab.close());

  /** A directory with the files of all; each test has its own, for they run together. */
  function workplace(): string {
    const directory = join(lab.directory, `case-${++directories}`);
    mkdirSync(directory);
    mkdirSync(join(directory, 'directory'));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    for (const name of [
      'ca.crt',
      'server.crt',
      'server.key',
      'client.crt',
      'client.key',
      'encrypted.key',
      'empty',
      'noise',
    ]) {
      copyFileSync(join(lab.directory, name), join(directory, name));
    }
    return directory;
  }

  async function run(config: string | Buffer, enter: readonly string[] = []): Promise<FinishedProcess> {
    const directory = workplace();
    writeFileSync(join(directory, 'bad.conf'), config);
    const [program, ...args] = [...enter, process.execPath, DAEMON, '--config', 'bad.conf'];
    return await place.run(program, args, END_TIMEOUT_MS, { cwd: directory });
  }

  function expectRefusal(done: FinishedProcess, line: RegExp): void {
    const lines = done.output.split('\n');
    expect(done.output).toMatch(line);
    expect(lines.filter((text) => STACK_TRACE.test(text))).toEqual([]);
    expect(done.output).not.toMatch(/Node\.js v|internal error/);
    expect(lines.length).toBeLessThanOrEqual(MOST_LINES);
    expect(done.status).toBe(1);
  }

  for (const [group, inputs] of Object.entries({ statements: STATEMENTS, files: FILES, host: HOST })) {
    describe.concurrent(group, () => {
      for (const { title, config, line } of inputs) {
        test(title, async () => expectRefusal(await run(config), line));
      }
    });
  }

  describe.concurrent('surroundings', () => {
    test('no configuration at the path', async () => {
      const done = await place.run(process.execPath, [DAEMON, '--config', 'nowhere'], END_TIMEOUT_MS);
      expectRefusal(done, /Error opening configuration file: nowhere \(No such file or directory\)/);
    });

    for (const path of ['/dev/zero', '.']) {
      test(`a configuration in ${path}`, async () => {
        const done = await place.run(process.execPath, [DAEMON, path], END_TIMEOUT_MS);
        expectRefusal(done, /Options error: In /);
      });
    }

    test('the port is taken', async () => {
      const directory = workplace();
      writeFileSync(join(directory, 'first.conf'), server('port 1199', 'dev tun5'));
      writeFileSync(join(directory, 'bad.conf'), server('port 1199', 'dev tun6'));
      const first = place.start(process.execPath, [DAEMON, '--config', 'first.conf'], { cwd: directory });
      await first.waitForLine(/Initialization Sequence Completed/, END_TIMEOUT_MS);
      const done = await place.run(process.execPath, [DAEMON, '--config', 'bad.conf'], END_TIMEOUT_MS, {
        cwd: directory,
      });
      expectRefusal(done, /Socket bind failed.*:1199: Address already in use \(errno=98\)/);
      expect(await place.ip('link')).not.toContain('tun6');
      await first.stop();
    });

    test('no capability', async () => {
      const enter = [
        'setpriv',
        '--bounding-set',
        '-all',
        '--inh-caps',
        '-all',
        '--no-new-privs',
        '--securebits',
        '+noroot',
      ];
      const done = await run(server(), enter);
      expectRefusal(done, /TUN/);
      expect(done.output).toContain('CAP_NET_ADMIN');
    });

    test('no device node in the system', async () => {
      const done = await run(server(), [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mount -t tmpfs none /dev/net && exec "$@"',
        'sh',
      ]);
      expectRefusal(done, /Cannot open TUN\/TAP dev \/dev\/net\/tun: No such file or directory/);
      expect(done.output).toContain('modprobe tun');
    });

    test('no usable ip program', async () => {
      const hide = 'mount --bind /dev/null "$(readlink -f "$(command -v ip)")" && exec "$@"';
      const done = await run(server('dev tun7'), ['unshare', '--mount', 'sh', '-c', hide, 'sh']);
      expectRefusal(done, /the program `ip`/);
    });

    test('nobody reads the output', async () => {
      for (const words of ['--frobnicate', '--help', '--version']) {
        const script = `${process.execPath} ${DAEMON} ${words} | true; ${process.execPath} ${DAEMON} ${words} > /dev/full`;
        const done = await place.run('sh', ['-c', script], END_TIMEOUT_MS);
        expect(done.output).toBe('');
      }
    });

    test('the disk of the log is full', async () => {
      const directory = workplace();
      writeFileSync(join(directory, 'good.conf'), server('port 1200', 'dev tun8', 'log log/file'));
      const fill = `mkdir log && mount -t tmpfs -o size=4k none log && head -c 4096 /dev/zero > log/ballast && exec "$@"`;
      const args = ['--mount', 'sh', '-c', fill, 'sh', process.execPath, DAEMON, '--config', 'good.conf'];
      const running = place.start('unshare', args, { cwd: directory });
      await waitFor(async () => (await place.ip('address')).includes('tun8'));
      running.signal('SIGTERM');
      expect(await running.waitForEnd(END_TIMEOUT_MS)).toEqual({ status: 0, signal: null });
      expect(running.lines).toEqual([]);
    });

    test('the reader of the log leaves', async () => {
      const directory = workplace();
      writeFileSync(join(directory, 'good.conf'), server('port 1201', 'dev tun9'));
      const script = `(exec ${process.execPath} ${DAEMON} --config good.conf 2>errors & echo $! >pid; wait) | head -n 1`;
      const running = place.start('sh', ['-c', script], { cwd: directory });
      await waitFor(async () => (await place.ip('address')).includes('tun9'));
      process.kill(Number(readFileSync(join(directory, 'pid'), 'utf8')), 'SIGTERM');
      // The shell waits for the daemon.
      await running.waitForEnd(END_TIMEOUT_MS);
      expect(readFileSync(join(directory, 'errors'), 'utf8')).toBe('');
    });
  });

  describe('the device is deleted', () => {
    for (const option of ['persist-tun', 'persist-key']) {
      test(`a server with ${option} opens another one`, async () => {
        const config = join(lab.directory, `${option}.conf`);
        writeFileSync(config, server('port 1202', 'dev tun3', option));
        const running = startProgram(place, 'openvpnd', ['--config', config]);
        await running.waitForLine(/Initialization Sequence Completed/, END_TIMEOUT_MS);
        const from = running.lines.length;
        await place.ip('link', 'delete', 'tun3');
        await running.waitForLine(/SIGUSR1\[soft,tun-stop\] received, process restarting/, END_TIMEOUT_MS, from);
        await running.waitForLine(/Initialization Sequence Completed/, END_TIMEOUT_MS, from);
        expect(await place.ip('address', 'show', 'dev', 'tun3')).toContain('10.8.0.1/24');
        expect((await running.stop()).status).toBe(0);
      });
    }
  });

  describe.concurrent('signals', () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
      test(`${signal} twice, while there is no server`, async () => {
        const directory = workplace();
        writeFileSync(join(directory, 'good.conf'), client());
        const running = place.start(process.execPath, [DAEMON, '--config', 'good.conf'], { cwd: directory });
        await running.waitForLine(/link remote/, END_TIMEOUT_MS);
        running.signal(signal);
        running.signal(signal);
        if (signal === 'SIGHUP' || signal === 'SIGUSR1') {
          await running.waitForLine(/link remote/, END_TIMEOUT_MS, running.lines.length);
        }
        if (signal === 'SIGUSR2') await running.waitForLine(/^.*END$/, END_TIMEOUT_MS);
        running.signal('SIGTERM');
        expect(await running.waitForEnd(END_TIMEOUT_MS)).toEqual({ status: 0, signal: null });
        expect(running.countLines(STACK_TRACE)).toBe(0);
      });
    }

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      test(`${signal} again and again, until it is gone`, async () => {
        const directory = workplace();
        writeFileSync(join(directory, 'good.conf'), client());
        const running = place.start(process.execPath, [DAEMON, '--config', 'good.conf'], { cwd: directory });
        await running.waitForLine(/link remote/, END_TIMEOUT_MS);
        const deadline = performance.now() + END_TIMEOUT_MS;
        while (running.end === undefined && performance.now() < deadline) {
          for (const one of [signal, 'SIGUSR1', 'SIGUSR2', 'SIGHUP'] as const) running.signal(one);
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(running.end).toEqual({ status: 0, signal: null });
        expect(running.countLines(/received, process exiting/)).toBe(1);
      });
    }
  });
});

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
