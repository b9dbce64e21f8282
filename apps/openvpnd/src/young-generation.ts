import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 leave the young generation at the size that it has, a mebibyte at the start of a process: to collect it takes the longer the larger it is, some of what a handshake
 * makes lives on, and packets wait. The V8 of Node.js 20 forgets it when a thread begins; calling it again is the cure.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Has the young generation grow at once to what a program with many modules comes to by itself. For streams: their bytes come in memory that is collected, and with a
 * small young generation so often that a fifth of the throughput was lost.
 */
export function letYoungGenerationGrow(): void {
  setFlagsFromString('--semi-space-growth-factor=8');
}
