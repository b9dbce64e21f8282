import { setFlagsFromString } from 'node:v8';
import type { Options } from '@openvpnd/config';

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

/** Whether {@link letYoungGenerationGrow} is for these options: a connection, or what a listener accepts, is a stream. */
export function usesStreams({ connections, listeners }: Pick<Options, 'connections' | 'listeners'>): boolean {
  return [...connections, ...listeners].some(({ protocol }) => protocol.transport === 'tcp');
}
