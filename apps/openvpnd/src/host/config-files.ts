import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { ConfigFiles } from '@openvpnd/config';
import { describeErrno } from './source-files.js';

/** Configuration files from the file system. Opening never waits, and nothing is read beyond the limit. */
export const configFiles: ConfigFiles = {
  readFile(path, maxBytes) {
    let descriptor: number | undefined;
    try {
      descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const content = Buffer.alloc(maxBytes + 1);
      let length = 0;
      while (length < content.length) {
        const count = readSync(descriptor, content, length, content.length - length, null);
        if (count === 0) break;
        length += count;
      }
      return { ok: true, value: content.subarray(0, length) };
    } catch (error) {
      return { ok: false, reason: describeErrno((error as NodeJS.ErrnoException).code) };
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  },
};
