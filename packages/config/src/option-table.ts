import type { OptionSpec } from './option-spec.js';
import { CLIENT_OPTIONS } from './table/client-options.js';
import { CRYPTO_OPTIONS } from './table/crypto-options.js';
import { DEVICE_OPTIONS } from './table/device-options.js';
import { LINK_OPTIONS } from './table/link-options.js';
import { OWN_OPTIONS } from './table/own-options.js';
import { LOG_OPTIONS, PROCESS_OPTIONS } from './table/process-options.js';
import { SERVER_OPTIONS } from './table/server-options.js';
import { TLS_OPTIONS } from './table/tls-options.js';

/** A chapter of the option table, as `--help` prints it. */
export interface OptionSection {
  readonly title: string;
  readonly options: readonly OptionSpec[];
}

/** The chapters of the option table. */
export const OPTION_SECTIONS: readonly OptionSection[] = [
  { title: 'General and process', options: PROCESS_OPTIONS },
  { title: 'Log', options: LOG_OPTIONS },
  { title: 'Peers and link', options: LINK_OPTIONS },
  { title: 'Device, addresses, routes', options: DEVICE_OPTIONS },
  { title: 'TLS, keys, certificates', options: TLS_OPTIONS },
  { title: 'Data channel', options: CRYPTO_OPTIONS },
  { title: 'Server', options: SERVER_OPTIONS },
  { title: 'Client, management, plugins', options: CLIENT_OPTIONS },
  { title: 'Of openvpnd alone; in files for both programs write setenv opt before them', options: OWN_OPTIONS },
];

/**
 * Every directive of OpenVPN 2.4 to 2.7 and those of our own, by name. The pseudo-directive `connection` stands for `<connection>` blocks.
 */
export const OPTION_TABLE: ReadonlyMap<string, OptionSpec> = new Map(
  OPTION_SECTIONS.flatMap((section) => section.options).map((spec) => [spec.name, spec]),
);

/** The row of an option, or undefined for a name that there is not. */
export function describeOption(name: string): OptionSpec | undefined {
  return OPTION_TABLE.get(name);
}

/** The known option that is nearest to a misspelt one, if any is near: at most two changes. */
export function suggestOption(name: string): string | undefined {
  if (name.length < 3 || name.length > 40) return undefined;
  let best: string | undefined;
  let least = 3;
  for (const candidate of OPTION_TABLE.keys()) {
    const distance = editDistance(name, candidate, least);
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Levenshtein distance, given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? limit;
}
