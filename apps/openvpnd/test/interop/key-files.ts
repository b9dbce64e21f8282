import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATIENCE_MS, runToEnd } from '@openvpnd/testkit/node';

/** The stock program makes the keys of the tests, unless a test is about ours doing so. */
export async function stockKeyText(...more: readonly string[]): Promise<string> {
  const made = await runToEnd('openvpn', ['--genkey', ...more], PATIENCE_MS);
  if (made.status !== 0) throw new Error(`openvpn --genkey ${more.join(' ')}: ${made.output}`);
  return made.stdout;
}

/** A block of a configuration. */
export function inline(option: string, content: string): string {
  return `<${option}>\n${content.trimEnd()}\n</${option}>`;
}

/** Writes a file into a lab's directory; processes of the lab find it by its bare name. */
export function writeKey(directory: string, file: string, text: string): string {
  writeFileSync(join(directory, file), text, { mode: 0o600 });
  return file;
}
