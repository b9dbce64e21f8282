import { connectionEntry } from './connection-entries.js';
import type { Draft, EntryDraft } from './draft.js';
import type { Listener } from './options/listener.js';
import { formatOrigin, type Origin } from './statement.js';

/** Connections are taken one a turn, and a full queue costs their maker a second. */
const LISTEN_BACKLOG = 512;

/**
 * Where a server listens: at each `local` line, then at each `local` line of each `<listen>` block (one without any listens at all addresses), or
 * without both at all addresses. OpenVPN 2.7: options_postprocess_mutate().
 */
export function listenerEntries(draft: Draft): Listener[] {
  return places(draft).map((place) => finishListener(draft, place));
}

/** One line, or one block, that asks to listen. */
interface Place {
  readonly entry: EntryDraft;
  /** The `<listen>` block that it stands in. */
  readonly block: EntryDraft | undefined;
  /** Nothing says so: a server without `local` and `<listen>`. */
  readonly implied: boolean;
  readonly origin: Origin | undefined;
}

function places(draft: Draft): readonly Place[] {
  const { locals = [] } = draft.entry;
  const implied = locals.length === 0 && draft.listens.length === 0;
  const own = locals.length > 0 || implied ? placesOf(draft.entry, undefined, implied) : [];
  return [...own, ...draft.listens.flatMap((block) => placesOf(block, block, false))];
}

/** The same options for each `local` line. */
function placesOf(entry: EntryDraft, block: EntryDraft | undefined, implied: boolean): readonly Place[] {
  const { locals = [] } = entry;
  if (locals.length === 0) return [{ entry, block, implied, origin: block?.origin }];
  return locals.map((local) => {
    const { origin, protocol = entry.protocol } = local;
    return { entry: { ...entry, local, protocol }, block, implied, origin };
  });
}

function finishListener(draft: Draft, { entry, block, implied }: Place): Listener {
  return {
    ...connectionEntry(draft, entry, undefined),
    tag: block?.tag,
    implied,
    bindPolicy: entry.bindPolicy ?? 'any',
    backlog: entry.backlog ?? LISTEN_BACKLOG,
    maxClients: block?.maxClients,
    connectFreq: block?.connectFreq,
    connectFreqInitial: block?.connectFreqInitial,
    portShare: entry.portShare,
  };
}

/** OpenVPN's sentence, or ours where OpenVPN has no such thing, about listeners that cannot be. */
export function listenerProblem(draft: Draft, listeners: readonly Listener[]): string | undefined {
  const asked = places(draft);
  const seen = new Map<string, Origin | undefined>();
  for (const [index, listener] of listeners.entries()) {
    const name = `${listener.protocol.transport}${listener.protocol.family ?? ''} ${listener.localHost ?? '*'}:${listener.localPort}`;
    const { origin } = asked[index];
    if (listener.localPort !== 0 && seen.has(name))
      return `duplicate listener ${name}${bothAt(origin, seen.get(name))}`;
    seen.set(name, origin);
    if (listener.connectFreq !== undefined && listener.protocol.transport !== 'udp') return CONNECT_FREQ_UDP;
  }
  const tagged = new Map<string, EntryDraft>();
  for (const block of draft.listens) {
    if (block.tag === undefined) continue;
    const first = tagged.get(block.tag);
    if (first !== undefined) return `duplicate listener tag ${block.tag}${bothAt(block.origin, first.origin)}`;
    tagged.set(block.tag, block);
  }
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

/** ` (server.conf:12, as at server.conf:10)`. */
function bothAt(second: Origin | undefined, first: Origin | undefined): string {
  return second === undefined || first === undefined ? '' : ` (${formatOrigin(second)}, as at ${formatOrigin(first)})`;
}
