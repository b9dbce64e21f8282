import { connectionEntry } from './connection-entries.js';
import type { Draft, EntryDraft } from './draft.js';
import type { Listener } from './options/listener.js';

/** Connections are taken one a turn, and a full queue costs their maker a second. */
const LISTEN_BACKLOG = 512;

/**
 * Where a server listens: at each `local` line, then at each `local` line of each `<listen>` block (one without any listens at all addresses), or
 * without both at all addresses. OpenVPN 2.7: options_postprocess_mutate().
 */
export function listenerEntries(draft: Draft): Listener[] {
  const { locals = [] } = draft.entry;
  const implied = locals.length === 0 && draft.listens.length === 0;
  const own = locals.length > 0 || implied ? places(draft.entry) : [];
  return [
    ...own.map((place) => finishListener(draft, place, undefined, implied)),
    ...draft.listens.flatMap((block) => places(block).map((place) => finishListener(draft, place, block, false))),
  ];
}

/** The same options for each `local` line. */
function places(entry: EntryDraft): readonly EntryDraft[] {
  const { locals = [] } = entry;
  if (locals.length === 0) return [entry];
  return locals.map((local) => ({ ...entry, local, protocol: local.protocol ?? entry.protocol }));
}

function finishListener(draft: Draft, place: EntryDraft, block: EntryDraft | undefined, implied: boolean): Listener {
  return {
    ...connectionEntry(draft, place, undefined),
    tag: block?.tag,
    implied,
    bindPolicy: place.bindPolicy ?? 'any',
    backlog: place.backlog ?? LISTEN_BACKLOG,
    maxClients: block?.maxClients,
    connectFreq: block?.connectFreq,
    connectFreqInitial: block?.connectFreqInitial,
    portShare: place.portShare,
  };
}

/** OpenVPN's sentence, or ours where OpenVPN has no such thing, about listeners that cannot be. */
export function listenerProblem(draft: Draft, listeners: readonly Listener[]): string | undefined {
  const seen = new Set<string>();
  for (const listener of listeners) {
    const name = `${listener.protocol.transport}${listener.protocol.family ?? ''} ${listener.localHost ?? '*'}:${listener.localPort}`;
    if (listener.localPort !== 0 && seen.has(name)) return `duplicate listener ${name}`;
    seen.add(name);
    if (listener.connectFreq !== undefined && listener.protocol.transport !== 'udp') return CONNECT_FREQ_UDP;
  }
  const tags = listeners.flatMap(({ tag }) => tag ?? []);
  const twice = tags.find((tag, index) => tags.indexOf(tag) !== index && !sameBlock(draft, tag));
  if (twice !== undefined) return `duplicate listener tag ${twice}`;
  if (hasUdp(listeners)) return undefined;
  return draft.entry.connectFreq === undefined ? undefined : CONNECT_FREQ_UDP;
}

/** What works but does nothing. */
export function listenerSuspicions(draft: Draft, listeners: readonly Listener[]): readonly string[] {
  if (hasUdp(listeners)) return [];
  const initial = [draft.entry, ...draft.listens].some(({ connectFreqInitial }) => connectFreqInitial !== undefined);
  return initial ? ['NOTE: --connect-freq-initial has no effect without a listener of --proto udp'] : [];
}

const CONNECT_FREQ_UDP = '--connect-freq only works with --mode server --proto udp.  Try --max-clients instead.';

function hasUdp(listeners: readonly Listener[]): boolean {
  return listeners.some(({ protocol }) => protocol.transport === 'udp');
}

/** One block with several `local` lines gives each of them its tag. */
function sameBlock(draft: Draft, tag: string): boolean {
  return draft.listens.filter((block) => block.tag === tag).length === 1;
}
