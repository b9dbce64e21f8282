import { printable } from './check-statement.js';
import type { PullFilter } from './options/server-options.js';

/** What `pull-filter` decides about an option, and OpenVPN's line about it. */
export interface FilterVerdict {
  readonly action: PullFilter['action'];
  readonly line: string;
}

/** The verdict of the first rule that the option begins with; undefined where no rule speaks of it. OpenVPN: apply_pull_filter(). */
export function filterPulled(text: string, filters: readonly PullFilter[]): FilterVerdict | undefined {
  const match = filters.find((candidate) => text.startsWith(candidate.text));
  if (match === undefined) return undefined;
  const shown = printable(text, 200);
  switch (match.action) {
    case 'accept':
      return { action: 'accept', line: `Pushed option accepted by filter: '${shown}'` };
    case 'ignore':
      return { action: 'ignore', line: `Pushed option removed by filter: '${shown}'` };
    case 'reject':
      return { action: 'reject', line: `Pushed option rejected by filter: '${shown}'. Restarting.` };
  }
}
