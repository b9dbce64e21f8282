import { type OptionSpec, syntaxOf } from './option-spec.js';
import { OPTION_SECTIONS } from './option-table.js';

const COLUMN = 34;

/** The text of `--help`: every option that has an effect or will have one, by chapter, from the option table. */
export function usage(): string {
  const lines = [
    'Usage: openvpnd --config FILE | openvpnd FILE | openvpnd --option parameters ...',
    '',
    'Options are those of OpenVPN. In a file they stand one a line, without the leading --.',
    'Options marked * are known but not supported yet.',
  ];
  for (const section of OPTION_SECTIONS) {
    lines.push('', `${section.title}:`, ...section.options.filter(isShown).map(lineOf));
  }
  return `${lines.join('\n')}\n`;
}

function isShown(spec: OptionSpec): boolean {
  return spec.status.is === 'implemented' || spec.status.is === 'planned';
}

function lineOf(spec: OptionSpec): string {
  const syntax = spec.name === 'connection' || spec.name === 'listen' ? `<${spec.name}>` : `--${syntaxOf(spec)}`;
  const mark = spec.status.is === 'planned' ? '* ' : '  ';
  return `${mark}${syntax.padEnd(COLUMN)} ${spec.summary}`;
}
