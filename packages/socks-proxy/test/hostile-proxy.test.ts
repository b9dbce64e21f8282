import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { LinkOpening } from '@openvpnd/external-mux';
import { datagramLinks, linkMaker, openUdpLink } from '@openvpnd/external-mux/node';
import { SeededRandom } from '@openvpnd/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { SocksProxyError, type SocksProxyOptions, socksDatagramLinks, socksLinks } from '../src/index.js';

/** For one that does not answer. */
const SILENCE_MS = 300;
/** For one that does, on a busy machine too. */
const ANSWER_MS = 20_000;
const NO_AUTH = [5, 0];
const WITH_PASSWORD = [5, 2];
const LET_IN = [1, 0];
const GRANTED = [5, 0, 0, 1, 127, 0, 0, 1, 0, 9];
const END = 'end';
const RESET = 'reset';

type Step = readonly number[] | typeof END | typeof RESET;

let ids = 0;
const closing: (() => void)[] = [];
afterAll(() => {
  for (const close of closing.splice(0)) close();
});

/** A proxy that answers each message, whatever it says, with the next of its steps. */
async function proxy(steps: readonly Step[], bytewise = false): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    let next = 0;
    socket.on('data', () => {
      const step = steps[next++];
      if (step !== undefined) void play(socket, step, bytewise);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function play(socket: Socket, step: Step, bytewise: boolean): Promise<void> {
  if (step === END) socket.end();
  else if (step === RESET) socket.resetAndDestroy();
  else if (bytewise) {
    socket.setNoDelay();
    for (const byte of step) await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
  } else {
    socket.write(Uint8Array.from(step));
  }
}

function open(kind: 'tcp' | 'udp', port: number, timeoutMs: number = ANSWER_MS): Promise<LinkOpening> {
  const nextId = (): number => ++ids;
  const options: SocksProxyOptions = {
    target: { host: 'vpn.example', port: 1194 },
    credentials: { username: 'alice', password: 'secret' },
    timeoutMs,
    links: linkMaker({ nextId, maxPacketBytes: 2048, queuePackets: 64, whenFull: 'refuse' }),
  };
  const factory =
    kind === 'tcp'
      ? socksLinks(options)
      : socksDatagramLinks({
          ...options,
          datagrams: datagramLinks({ nextId, open: openUdpLink }),
          maxPacketBytes: 2048,
        });
  return new Promise((resolve) => {
    factory.connect({ remote: { family: 4, address: '127.0.0.1', port } }, (result) => {
      if (result.ok) closing.push(() => result.link.close());
      resolve(result);
    });
  });
}

const noise = (length: number): number[] => {
  const bytes = new Uint8Array(length);
  new SeededRandom(length).fill(bytes);
  return [...bytes];
};

/** What is told of one that does not answer. */
const SILENT = /does not answer/;

const HOSTILE: readonly { readonly title: string; readonly steps: readonly Step[]; readonly line: RegExp }[] = [
  { title: 'hangs up at once', steps: [END], line: /read failed/ },
  { title: 'breaks off', steps: [RESET], line: /socks_handshake|recv_socks_reply/ },
  { title: 'speaks HTTP', steps: [[...Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]], line: /unexpected auth/ },
  { title: 'speaks SOCKS 4', steps: [[0, 90, 0, 0, 0, 0, 0, 0]], line: /unexpected auth/ },
  { title: 'says half a word', steps: [[5]], line: SILENT },
  { title: 'wants a method that there is not', steps: [[5, 3]], line: /unexpected auth/ },
  { title: 'accepts none', steps: [[5, 0xff]], line: /unexpected auth/ },
  { title: 'refuses the password', steps: [WITH_PASSWORD, [1, 1]], line: /refused the authentication/ },
  { title: 'answers the password with half', steps: [WITH_PASSWORD, [1]], line: SILENT },
  {
    title: 'goes on talking behind the answer',
    steps: [WITH_PASSWORD, [...LET_IN, ...GRANTED]],
    line: /more than it was asked/,
  },
  {
    title: 'lets in and floods',
    steps: [WITH_PASSWORD, [...LET_IN, ...noise(300_000)]],
    line: /more than it was asked/,
  },
  { title: 'floods', steps: [noise(300_000)], line: /socks_handshake/ },
  { title: 'refuses', steps: [NO_AUTH, [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], line: /bad reply/ },
  { title: 'refuses with a number of its own', steps: [NO_AUTH, [5, 200, 0, 1, 0, 0, 0, 0, 0, 0]], line: /bad reply/ },
  { title: 'grants in another version', steps: [NO_AUTH, [4, ...GRANTED.slice(1)]], line: /bad reply/ },
  { title: 'grants half', steps: [NO_AUTH, GRANTED.slice(0, 6)], line: SILENT },
  { title: 'names a host without end', steps: [NO_AUTH, [5, 0, 0, 3, 255, 97, 98]], line: SILENT },
  { title: 'hangs up amid its reply', steps: [NO_AUTH, END], line: /read failed/ },
  { title: 'tells an address of no type', steps: [NO_AUTH, [5, 0, 0, 0, 1, 2, 3, 4, 5, 6]], line: /bad address type/ },
  {
    title: 'tells an address of an unknown type',
    steps: [NO_AUTH, [5, 0, 0, 7, 1, 2, 3, 4, 5, 6]],
    line: /bad address type/,
  },
];

for (const kind of ['tcp', 'udp'] as const) {
  describe(`a SOCKS proxy, ${kind}, that`, () => {
    it.concurrent.each(HOSTILE)('$title is told of in one line', async ({ steps, line }) => {
      const timeoutMs = line === SILENT ? SILENCE_MS : ANSWER_MS;
      const result = await open(kind, await proxy(steps), timeoutMs);
      expect(result).toEqual({ ok: false, error: expect.any(SocksProxyError) });
      if (result.ok) return;
      expect(result.error.message).toMatch(line);
      expect(result.error.message).not.toMatch(/[^ -~]/);
    });

    it.each([
      ['with what follows in pieces of a byte', true],
      ['at once', false],
    ] as const)('does what it is asked for, %s, is used', async (_title, bytewise) => {
      for (const steps of [
        [NO_AUTH, GRANTED],
        [WITH_PASSWORD, LET_IN, GRANTED],
        [NO_AUTH, [5, 0, 0, 4, ...new Array<number>(15).fill(0), 1, 0, 9]],
        ...(kind === 'tcp' ? [[NO_AUTH, [5, 0, 0, 3, 1, 97, 0, 9]]] : []),
      ]) {
        expect(await open(kind, await proxy(steps, bytewise))).toMatchObject({ ok: true });
      }
    });
  });
}

it('a relay with a name is of no use, and one without a port neither', async () => {
  for (const reply of [
    [5, 0, 0, 3, 1, 97, 0, 9],
    [5, 0, 0, 3, 0, 0, 9],
    [5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
  ]) {
    const result = await open('udp', await proxy([NO_AUTH, reply]));
    expect(result).toMatchObject({ ok: false, error: { message: expect.stringMatching(/bad address type/) } });
  }
});
