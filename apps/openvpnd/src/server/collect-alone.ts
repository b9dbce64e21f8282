import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 collect the young generation, and free the buffers that were in it, in the thread that asks for it, without helpers, and leave it at the size that it has, for which
 * that takes a millisecond or two. To wait for a helper that waits for a processor took ten times that while many clients came, and packets waited too; and since most of
 * what a handshake makes lives on, a young generation that grows takes the longer. To be called before the threads of TLS begin; calling it again changes nothing.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  setFlagsFromString('--semi-space-growth-factor=1');
}
