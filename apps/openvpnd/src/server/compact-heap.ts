import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 keep its heap small rather than let it grow for speed: what many handshakes leave behind would otherwise stay resident for hours in a server whose clients are
 * idle. Packets allocate nothing and do not notice. To be called before clients come; calling it again changes nothing.
 */
export function keepHeapCompact(): void {
  setFlagsFromString('--optimize-for-size');
}
