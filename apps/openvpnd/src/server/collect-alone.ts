import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 collect the young generation, and free the buffers that were in it, in the thread that asks for it, without helpers. To wait for
 * a helper that waits for a processor took tens of milliseconds while many clients came, and packets waited too. To be called before the threads of TLS begin; calling it again changes nothing.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
}
