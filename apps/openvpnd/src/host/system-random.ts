import { randomFillSync } from 'node:crypto';
import type { Random } from '@openvpnd/sans-io';

/** The system's random source. It ends the process rather than deliver less. */
export const systemRandom: Random = {
  fill(target) {
    randomFillSync(target);
  },
};
