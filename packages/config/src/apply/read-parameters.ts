import type { FileSource } from '../options/file-source.js';
import { parsePort } from '../port.js';
import type { Statement } from '../statement.js';

/** A parameter that the option table requires. */
export function textAt(statement: Statement, index: number): string {
  return statement.parameters[index] ?? '';
}

/** A number that the option table has checked, or the default of one that was left out. */
export function numberAt(statement: Statement, index: number, missing = 0): number {
  const text = statement.parameters[index];
  return text === undefined ? missing : Number(text);
}

/** A number brought into a range, for parameters that the option table clamps. */
export function clampedAt(statement: Statement, index: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, numberAt(statement, index)));
}

/** A port that the option table has checked. */
export function portAt(statement: Statement, index: number): number {
  return parsePort(textAt(statement, index)) ?? 0;
}

/** The file that the first parameter names or an inline block holds. */
export function fileSource(statement: Statement): FileSource {
  const { name, origin } = statement;
  return statement.inline
    ? { kind: 'inline', option: name, text: textAt(statement, 0), origin }
    : { kind: 'file', option: name, path: textAt(statement, 0), origin };
}
