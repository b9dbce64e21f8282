import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 optimise what runs often after a few hundred packets instead of a few thousand. A tunnel with little traffic would otherwise be interpreted for minutes, cold each
 * time, and a round trip through it take twice as long. The daemon is small: what is compiled too early costs some milliseconds, once.
 *
 * Imported before everything else, since functions get their budgets when they are made.
 */
setFlagsFromString('--no-lazy-feedback-allocation');
setFlagsFromString('--interrupt-budget=500');
