import type { Draft, EntryDraft, RemoteDraft } from './draft.js';
import { parseIpv4 } from './ipv4.js';
import { parseIpv6 } from './ipv6.js';
import type { Protocol } from './protocol.js';

/** Why `ipv4` or `ipv6` cannot be: with the other of them, or with an option that asks for the other family. */
export function familyProblem(draft: Draft): string | undefined {
  const [family, other] = draft.outerFamilies;
  if (family === undefined) return undefined;
  if (other !== undefined) return '--ipv4 and --ipv6 are mutually exclusive';
  const option = findOther(draft, family);
  return option === undefined ? undefined : `--ipv${family} conflicts with '${option}'`;
}

function findOther(draft: Draft, family: 4 | 6): string | undefined {
  for (const entry of [draft.entry, ...draft.blocks, ...draft.listens]) {
    const option = ofEntry(entry, family);
    if (option !== undefined) return option;
  }
  for (const remote of draft.remotes) {
    const option = ofRemote(remote, family);
    if (option !== undefined) return option;
  }
  return undefined;
}

function ofEntry(entry: EntryDraft, family: 4 | 6): string | undefined {
  if (isOther(entry.protocol, family)) return `proto ${entry.protocol.transport}${entry.protocol.family}`;
  for (const { host, protocol } of entry.locals ?? (entry.local === undefined ? [] : [entry.local])) {
    if (isOther(protocol, family)) return `local ${host ?? '*'} … ${protocol.transport}${protocol.family}`;
    if (host !== undefined && literalFamily(host) === otherThan(family)) return `local ${host}`;
  }
  return entry.remote === undefined ? undefined : ofRemote(entry.remote, family);
}

function ofRemote({ host, port, protocol }: RemoteDraft, family: 4 | 6): string | undefined {
  if (isOther(protocol, family)) return `remote ${host} ${port} ${protocol.transport}${protocol.family}`;
  return literalFamily(host) === otherThan(family) ? `remote ${host}` : undefined;
}

function isOther(protocol: Protocol | undefined, family: 4 | 6): protocol is Protocol {
  return protocol?.family === otherThan(family);
}

function otherThan(family: 4 | 6): 4 | 6 {
  return family === 4 ? 6 : 4;
}

/** Undefined for a name. */
function literalFamily(host: string): 4 | 6 | undefined {
  if (parseIpv4(host) !== undefined) return 4;
  return parseIpv6(host) === undefined ? undefined : 6;
}
