import { openUdpLink } from '@openvpnd/packet-io';
import { afterEach, describe, expect, test } from 'vitest';
import { DataPath, dataPathProblem } from '../src/data-path.js';
import { CLIENT, optionsOf, SERVER } from './options-of.js';

const ALL = { tun: 'tso+uso', udp: { gso: true, gro: true } };

function choiceOf(...lines: readonly string[]): typeof ALL {
  const { tun, udp } = new DataPath(optionsOf(...SERVER, ...lines).options);
  return { tun, udp };
}

describe('the data path', () => {
  const before = process.env.OPENVPND_DATA_PATH;
  afterEach(() => {
    if (before === undefined) delete process.env.OPENVPND_DATA_PATH;
    else process.env.OPENVPND_DATA_PATH = before;
  });

  test('is all there is, unless told otherwise', () => {
    delete process.env.OPENVPND_DATA_PATH;
    expect(choiceOf()).toEqual(ALL);
    expect(choiceOf('setenv OPENVPND_DATA_PATH ""')).toEqual(ALL);
    expect(choiceOf('setenv SOMETHING no-tso')).toEqual(ALL);
  });

  test('each part can be turned off', () => {
    expect(choiceOf('setenv OPENVPND_DATA_PATH no-tso')).toEqual({ ...ALL, tun: 'none' });
    expect(choiceOf('setenv OPENVPND_DATA_PATH no-uso')).toEqual({ ...ALL, tun: 'tso' });
    expect(choiceOf('setenv OPENVPND_DATA_PATH no-gso')).toEqual({ ...ALL, udp: { gso: false, gro: true } });
    expect(choiceOf('setenv OPENVPND_DATA_PATH no-gro')).toEqual({ ...ALL, udp: { gso: true, gro: false } });
    const none = { tun: 'none', udp: { gso: false, gro: false } };
    expect(choiceOf('setenv OPENVPND_DATA_PATH "no-tso,no-uso no-gso  no-gro evp"')).toEqual(none);
  });

  test('of the environment counts too, and that of the configuration before it', () => {
    process.env.OPENVPND_DATA_PATH = 'no-uso';
    expect(choiceOf()).toEqual({ ...ALL, tun: 'tso' });
    expect(choiceOf('setenv OPENVPND_DATA_PATH evp')).toEqual(ALL);
  });

  test('the arithmetic is that of EVP when asked for', () => {
    const backend = new DataPath(optionsOf(...SERVER, 'setenv OPENVPND_DATA_PATH evp').options).backend();
    expect(backend).toMatchObject({ name: 'evp', sealsSuperPackets: true });
  });

  test('what it does not know is refused by name', () => {
    const problem = (value: string): string | undefined =>
      dataPathProblem(optionsOf(...SERVER, `setenv OPENVPND_DATA_PATH "${value}"`).options);
    expect(problem('no-tso fast')).toBe(
      'Options error: setenv OPENVPND_DATA_PATH: "fast" is none of no-tso, no-uso, no-gso, no-gro, no-flows, evp',
    );
    expect(problem('NO-TSO')).toContain('"NO-TSO" is none of');
    expect(problem('no-tso evp')).toBeUndefined();
    process.env.OPENVPND_DATA_PATH = 'slow';
    expect(dataPathProblem(optionsOf(...SERVER).options)).toContain('"slow"');
  });

  test('takes no super-packets where each packet becomes several', () => {
    expect(choiceOf('proto udp4', 'fragment 1300')).toEqual({ ...ALL, tun: 'none' });
    const two = optionsOf(
      ...CLIENT,
      '<connection>',
      'remote 192.0.2.1',
      '</connection>',
      '<connection>',
      'remote 192.0.2.2',
      'fragment 1300',
      '</connection>',
    );
    expect(new DataPath(two.options).tun).toBe('none');
    // One packet stays one.
    expect(choiceOf('comp-lzo no', 'data-ciphers AES-256-CBC')).toEqual(ALL);
  });

  test('says in one line what is in use', () => {
    const { options } = optionsOf(...SERVER, 'setenv OPENVPND_DATA_PATH evp');
    const path = new DataPath(options);
    const backend = path.backend();
    const link = openUdpLink({ id: 1, local: { family: 4, address: '127.0.0.1', port: 0 }, offload: path.udp });
    const plain = openUdpLink({ id: 2, local: { family: 4, address: '127.0.0.1', port: 0 } });
    try {
      expect(path.describe('tso+uso', [link], backend)).toBe('data path: native, tso+uso, gso/gro, aead evp');
      expect(path.describe('none', [plain], backend)).toBe('data path: native, no tso, no gso, aead evp');
      expect(path.describe('tso', [], backend)).toBe('data path: native, tso, tcp, aead evp');
      const without = new DataPath(optionsOf(...SERVER, 'setenv OPENVPND_DATA_PATH "no-flows evp"').options);
      expect(without.describe('tso', [], backend)).toBe('data path: native, tso, tcp, aead evp, no flows');
    } finally {
      link.close();
      plain.close();
    }
  });
});
