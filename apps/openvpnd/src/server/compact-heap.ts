import { setFlagsFromString } from 'node:v8';

/** By how many percent the heap may outgrow what was alive when it was last collected as a whole. */
const GROWTH = {
  /** V8 collects once while a server starts. Then there is room for what a few hundred handshakes make. */
  beforeRush: 300,
  inRush: 100,
  /** As V8 finds best. */
  byItself: 0,
};

/**
 * Has V8 keep its heap small rather than let it grow for speed: what many handshakes leave behind would otherwise stay resident for hours in a server whose clients are
 * idle. Packets allocate nothing and do not notice. To be called before clients come; calling it again changes nothing.
 */
export function keepHeapCompact(): void {
  setFlagsFromString('--optimize-for-size');
  grow(GROWTH.byItself);
}

/**
 * Has V8 leave room for the first rush of clients when it collects the heap while a server starts. What those make is there to stay, and to collect the heap
 * in their midst took up to 30 milliseconds, in pieces of up to 14, for which packets waited. Until {@link letHeapGrow} or {@link keepHeapCompact}.
 */
export function leaveRoomForRush(): void {
  grow(GROWTH.beforeRush);
}

/**
 * Has V8 let its heap grow, until {@link keepHeapCompact}. While many clients come it grows anyway, and to compact it takes tens of milliseconds, in which V8
 * waits for helpers that wait for a processor.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--no-optimize-for-size');
  grow(GROWTH.inRush);
}

function grow(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
