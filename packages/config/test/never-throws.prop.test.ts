import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeConfig,
  OPTION_TABLE,
  parseArguments,
  parseClientConfig,
  parseConfigText,
  parsePushReply,
  parseUserPass,
  tokeniseLine,
  usage,
} from '../src/index.js';

const runs = { seed: 1, numRuns: 400 };

/** Lines that look like options: known names and odd words, with what makes parsers stumble in between. */
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...OPTION_TABLE.keys()) },
  fc.constantFrom(
    '10.8.0.0',
    '255.255.255.0',
    'fd00::/64',
    'udp',
    '1194',
    '-1',
    '99999999999999',
    'default',
    'opt',
    'setenv',
  ),
  fc.constantFrom(
    '<connection>',
    '</connection>',
    '<ca>',
    '</ca>',
    '"',
    "'",
    '\\',
    '#',
    ';',
    '--',
    '\ufeff',
    '\0',
    '\r',
    '\x1b',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const line = fc.array(word, { maxLength: 6 }).map((words) => words.join(' '));
const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n'));
const loop = { readFile: () => ({ ok: true as const, value: new TextEncoder().encode('config x\nremote y\n') }) };

test('the tokeniser gives parameters or a reason, and never more than sixteen', () => {
  fc.assert(
    fc.property(fc.oneof(line, fc.string({ unit: 'binary', maxLength: 600 })), (input) => {
      const tokens = tokeniseLine(input, 'x:1');
      if (tokens.ok) expect(tokens.parameters.length).toBeLessThanOrEqual(16);
      else expect(tokens.reason).not.toBe('');
    }),
    runs,
  );
});

test('what is quoted comes back: any text without quotes and backslashes', () => {
  const plain = fc.string({ unit: 'binary', maxLength: 40 }).filter((candidate) => !/["'\\\n]/.test(candidate));
  fc.assert(
    fc.property(plain, plain, (a, b) => {
      expect(tokeniseLine(`"${a}" '${b}'`, 'x:1')).toEqual({ ok: true, parameters: [a, b], dropped: false });
    }),
    runs,
  );
});

test('configurations give options or one line', () => {
  fc.assert(
    fc.property(text, (input) => {
      const result = parseConfigText(input, 'x', loop);
      if (!result.ok) expect(result.errors).toHaveLength(1);
    }),
    runs,
  );
});

test('bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseConfigText(bytes, 'x');
      decodeConfig(bytes, 'x');
    }),
    runs,
  );
});

test('command lines', () => {
  const argument = fc.oneof(
    word.map((name) => `--${name}`),
    word,
  );
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 12 }), (argv) => {
      const result = parseArguments(argv, loop);
      if (!result.ok) expect(result.errors).toHaveLength(1);
    }),
    runs,
  );
});

test('pushed options, client-config files, passwords', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), text, fc.boolean(), (options, file, routeNopull) => {
      parsePushReply(options, { routeNopull, pullFilters: [], compressionStubsOnly: true });
      parseClientConfig(file, 'ccd/x');
      parseUserPass(file);
    }),
    runs,
  );
});

test('a large hostile text is refused or read in reasonable time', () => {
  const lines = 'route 10.0.0.0 255.0.0.0\n'.repeat(50_000);
  expect(parseConfigText(`client\ndev tun\nremote a\nca a\ncert a\nkey a\n${lines}`, 'x').ok).toBe(true);
  expect(
    parsePushReply(new Array<string>(16_385).fill('route 10.0.0.0'), {
      routeNopull: false,
      pullFilters: [],
      compressionStubsOnly: true,
    }).ok,
  ).toBe(false);
});

test('usage mentions what works and what is planned, and no line is long', () => {
  const lines = usage().split('\n');
  for (const spec of OPTION_TABLE.values()) {
    const shown = lines.some((shownLine) =>
      shownLine.includes(spec.name === 'connection' || spec.name === 'listen' ? `<${spec.name}>` : `--${spec.name} `),
    );
    expect([spec.name, shown]).toEqual([spec.name, spec.status.is === 'implemented' || spec.status.is === 'planned']);
  }
  expect(lines.every((shownLine) => shownLine.length <= 180)).toBe(true);
});
