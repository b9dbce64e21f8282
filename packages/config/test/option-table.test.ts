import { expect, test } from 'vitest';
import { HANDLERS } from '../src/apply/apply-statement.js';
import {
  type Context,
  describeOption,
  isAllowedIn,
  maxParameters,
  mayBeInline,
  minParameters,
  OPTION_SECTIONS,
  OPTION_TABLE,
  suggestOption,
} from '../src/index.js';
// The directives of OpenVPN 2.4 to 2.7 with class and flags. The list from which this one was taken counts 325: it took
// the second form of `management` (`management path unix`) for a directive of the name `path`, which no version knows.
import directives from './directives.json' with { type: 'json' };

test('the table holds exactly the directives of OpenVPN, and apart from them our own', () => {
  expect(directives.length).toBe(324);
  const theirs = [...OPTION_TABLE.values()].filter((spec) => spec.deploymentClass !== 'OWN');
  expect(theirs.map(({ name }) => name).sort()).toEqual(directives.map((directive) => directive.name).sort());
  expect(OPTION_SECTIONS.flatMap((section) => section.options).length).toBe(OPTION_TABLE.size);
});

/** Where ours differ on purpose from the flags of the list, and why. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'bind-dev': 'pushable in OpenVPN only because it shares a class with socket-flags',
};

const rows = directives.map((directive) => {
  const spec = describeOption(directive.name);
  if (spec === undefined) throw new Error(`${directive.name} is missing`);
  return { ...directive, spec };
});

test('every option has its class', () => {
  expect(rows.map(({ name, spec }) => [name, spec.deploymentClass])).toEqual(rows.map((row) => [row.name, row.class]));
});

test('every option may stand where OpenVPN lets it, and nowhere else', () => {
  for (const { name, flags, spec } of rows) {
    if (spec.status.is === 'removed' || name in DIFFERENT || name === 'connection') continue;
    const has = (flag: string): boolean => flags.split(' ').some((word) => word.startsWith(flag));
    const allowed = (context: Context): boolean => isAllowedIn(spec, context);
    expect({
      name,
      pushed: allowed('pushed'),
      nopull: allowed('pushed-nopull'),
      instance: allowed('instance'),
      connection: allowed('connection'),
      inline: mayBeInline(spec),
      standAlone: spec.standAlone,
    }).toEqual({
      name,
      pushed: has('P') || has('p'),
      // The list marks route-ipv6-gateway as unchecked by OpenVPN; here it is a route.
      nopull: has('P') && name !== 'route-ipv6-gateway',
      instance: has('I'),
      connection: has('B'),
      inline: has('X'),
      standAlone: has('S'),
    });
  }
});

test('every option has a summary of one line, and its optional parameters come last', () => {
  for (const { name, spec } of rows) {
    expect(spec.summary, name).toMatch(/^[^\n]{5,140}\.$/);
    expect(minParameters(spec), name).toBeLessThanOrEqual(maxParameters(spec));
    const firstOptional = spec.parameters.findIndex((parameter) => !parameter.required);
    const rest = firstOptional < 0 ? [] : spec.parameters.slice(firstOptional);
    expect(
      rest.every((parameter) => !parameter.required),
      name,
    ).toBe(true);
  }
});

test('every implemented option has a handler and no other has one', () => {
  const byReader = ['config', 'connection', 'help', 'listen', 'version'];
  const implemented = [...OPTION_TABLE.values()].filter((spec) => spec.status.is === 'implemented');
  expect([...HANDLERS.keys(), ...byReader].sort()).toEqual(implemented.map((spec) => spec.name).sort());
});

test('a misspelt name finds its neighbour, another finds none', () => {
  expect(suggestOption('remot')).toBe('remote');
  expect(suggestOption('persit-tun')).toBe('persist-tun');
  expect(suggestOption('wireguard')).toBeUndefined();
  expect(suggestOption('x'.repeat(100_000))).toBeUndefined();
});
