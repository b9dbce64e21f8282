import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 leave the young generation at the size that it has, a mebibyte at the start of a process: to collect it takes the longer the larger it is, some of what a handshake
 * makes lives on, and packets wait. The V8 of Node.js 20 forgets it when a thread begins; calling it
 * again is the cure.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
