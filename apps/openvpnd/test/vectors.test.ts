import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { root } from './fences/fences.js';

/** How many known-answer vectors there are of each file. All of them stand in the packages whose tests run them. */
const COUNTS: Readonly<Record<string, number>> = {
  'auth_token.json': 17,
  'compression.json': 40,
  'config_parse.json': 77,
  'control_messages.json': 19,
  'data_aead.json': 21,
  'data_cbc.json': 43,
  'epoch.json': 27,
  'framing_reliable.json': 20,
  'key_method2.json': 11,
  'mtu_mss.json': 33,
  'ncp.json': 42,
  'openvpn_prf_keys.json': 2,
  'options_string.json': 14,
  'packet_id.json': 25,
  'pkt_parse.json': 41,
  'push_update.json': 25,
  'session_cookie.json': 7,
  'static_key.json': 9,
  'tls1_prf.json': 11,
  'tls_auth.json': 10,
  'tls_crypt.json': 13,
  'tls_crypt_v2.json': 30,
  'tls_ekm.json': 6,
};

interface VectorFile {
  /** Where the vectors come from: a package may have a part of the file. */
  readonly file?: string;
  readonly vectors?: readonly { readonly id: string }[];
}

/** The files below a directory with that ending; none where there is no such directory. */
function filesBelow(directory: string, ending: string): string[] {
  if (!existsSync(directory)) return [];
  const all = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return all.filter((file) => file.endsWith(ending) && !file.includes('node_modules'));
}

/** Directories of tests, as `packages/wire/test`. */
const places = ['packages', 'apps'].flatMap((parent) =>
  readdirSync(`${root}${parent}`).map((name) => `${parent}/${name}/test`),
);
const copies = places.flatMap((place) =>
  filesBelow(`${root}${place}/vectors`, '.json').map((file) => `${place}/vectors/${file}`),
);

test('all 543 known-answer vectors stand in some package', () => {
  const found = new Map<string, Set<string>>();
  for (const copy of copies) {
    const { file, vectors } = JSON.parse(readFileSync(`${root}${copy}`, 'utf8')) as VectorFile;
    if (file === undefined || vectors === undefined) continue;
    const ids = found.get(file) ?? new Set();
    found.set(file, ids);
    for (const { id } of vectors) ids.add(id);
  }
  const counts = Object.fromEntries([...found].map(([file, ids]) => [file, ids.size]).sort());
  expect(counts).toEqual(COUNTS);
  expect(Object.values(COUNTS).reduce((sum, count) => sum + count)).toBe(543);
});

describe('each copy is read by a test or a conformance suite of its package', () => {
  test.each(copies)('%s', (copy) => {
    const place = `${root}${copy.replace(/\/test\/vectors\/[^/]+$/, '')}`;
    const name = copy.replace(/^.*\/([^/]+)\.json$/, '$1');
    const sources = ['test', 'conformance'].flatMap((part) =>
      filesBelow(`${place}/${part}`, '.ts').map((file) => `${place}/${part}/${file}`),
    );
    const readers = sources.filter((file) => {
      const text = readFileSync(file, 'utf8');
      return (
        text.includes(`/${name}.json`) ||
        text.includes(`'${name}.json'`) ||
        new RegExp(`vectors\\('${name}'\\)`).test(text)
      );
    });
    expect(readers).not.toEqual([]);
  });
});
