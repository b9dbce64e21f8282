import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 keep its heap small rather than let it grow for speed: what many handshakes leave behind would otherwise stay resident for hours in a server whose clients are
 * idle. Packets allocate nothing and do not notice. To be called before clients come; calling it again changes nothing.
 */
export function keepHeapCompact(): void {
  setFlagsFromString('--optimize-for-size');
}

/**
 * Has V8 decide by itself again, until {@link keepHeapCompact}. While many clients come the heap grows anyway, and to compact it takes tens of milliseconds, in which V8
 * waits for helpers that wait for a processor.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--no-optimize-for-size');
}
