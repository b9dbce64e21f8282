// `node scripts/interop-document.mjs`: runs the interoperability tests and writes docs/interop.md from what passed: feature × who serves whom.
// A test that does not name both programs is not about interoperability and is left out.
// `--report FILE` takes the JSON report of a run that has been made instead; other arguments are passed to vitest.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interopEntrance } from './interop-entrance.mjs';
import { root } from './workspace.mjs';

/** `feature: server openvpn, client openvpnd`, also with something behind it, or in front. */
const ROLES = /[:,]?\s*server (openvpnd?), client (openvpnd?)/;
/** Columns, by server and client. */
const PAIRS = [
  ['openvpn', 'openvpnd'],
  ['openvpnd', 'openvpn'],
  ['openvpnd', 'openvpnd'],
];

const [first, given] = process.argv.slice(2);
const report = first === '--report' ? readFileSync(given, 'utf8') : run(process.argv.slice(2));
const { testResults } = JSON.parse(report);
writeFileSync(join(root, 'docs/interop.md'), document(testResults.flatMap((file) => file.assertionResults)));

/** Runs the tests and gives their report. */
function run(args) {
  const directory = mkdtempSync(join(tmpdir(), 'interop-document-'));
  try {
    const file = join(directory, 'report.json');
    const [command, ...before] = interopEntrance();
    const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'interop'];
    spawnSync(command, [...before, ...vitest, '--reporter', 'json', '--outputFile', file, ...args], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function document(tests) {
  const sections = new Map();
  for (const { ancestorTitles, title, status } of tests) {
    if (status !== 'passed' && status !== 'failed') continue;
    const roles = ROLES.exec(title);
    if (roles === null) continue;
    const section = sections.get(ancestorTitles.join(' ')) ?? new Map();
    sections.set(ancestorTitles.join(' '), section);
    const feature = title.replace(ROLES, '').replace(/^[\s:,]+|[\s:,]+$/g, '') || 'connects and carries packets';
    const row = section.get(feature) ?? {};
    section.set(feature, row);
    const column = `${roles[1]} ${roles[2]}`;
    row[column] = status === 'passed' && row[column] !== 'fails' ? 'yes' : 'fails';
  }
  const stock = spawnSync('openvpn', ['--version'], { encoding: 'utf8' }).stdout.split(' ').slice(0, 2).join(' ');
  const lines = [
    '# Interoperability',
    '',
    `Written by \`node scripts/interop-document.mjs\` from a run of the interoperability tests. The peer is ${stock}; versions 2.4, 2.5 and 2.7 are`,
    'covered by recorded packets and computed vectors in the tests of the packages, not here.',
    '',
    '`yes`: the tests of that line passed. Empty: there is no test for that pair.',
  ];
  for (const [name, rows] of sections) {
    lines.push(
      '',
      `## ${name}`,
      '',
      `| feature | ${PAIRS.map(([s, c]) => `${s} serves ${c}`).join(' | ')} |`,
      '|---|---|---|---|',
    );
    for (const [feature, row] of rows) {
      const cells = PAIRS.map(([server, client]) => row[`${server} ${client}`] ?? '');
      lines.push(`| ${feature.replaceAll('|', '\\|')} | ${cells.join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
