import type { ConnectionEntry, FileSource, Options, SharedWrapOptions } from '@openvpnd/config';
import {
  type ClientKeyMetadata,
  type ControlWrapFactory,
  clientKeyIsFresh,
  parseTlsCryptV2ClientKey,
  parseTlsCryptV2ServerKey,
  plainWraps,
  tlsAuthWraps,
  tlsCryptV2ClientWraps,
  tlsCryptV2ServerWraps,
  tlsCryptWraps,
} from '@openvpnd/control-wrap';
import { parseStaticKey } from '@openvpnd/keygen';
import type { Secret } from '@openvpnd/sans-io';
import { readKey } from './host/key-file.js';
import { SourceFileError } from './host/source-files.js';

const DAY_SECONDS = 86_400;

/** How control packets are protected, with the keys read from their files. */
export interface ControlWraps {
  readonly all: ControlWrapFactory;
  /**
   * The same for one client of a server whose client key was judged: a session that it begins anew must come with the same metadata, so
   * that no other key slips in behind the judgement.
   */
  readonly forClient: (judged: ClientKeyMetadata | undefined) => ControlWrapFactory;
}

/**
 * How control packets are protected on one connection.
 *
 * @throws SourceFileError when a key cannot be read or is none
 */
export function controlWraps(options: Options, entry: ConnectionEntry): ControlWraps {
  const { controlWrap } = entry;
  if (controlWrap.kind !== 'tls-crypt-v2') return alike(sharedWraps(options, controlWrap));
  const { replayWindow } = options.dataChannel;
  if (options.tls.role === 'client') {
    const clientKey = readKey(
      controlWrap.key,
      parseTlsCryptV2ClientKey,
      'a tls-crypt-v2 client key',
      'tls-crypt-v2-client',
    );
    return alike(tlsCryptV2ClientWraps({ clientKey, replayWindow }));
  }
  const serverKey = readKey(
    controlWrap.key,
    parseTlsCryptV2ServerKey,
    'a tls-crypt-v2 server key',
    'tls-crypt-v2-server',
  );
  const maxAgeDays = options.tls.clientKeyMaxAgeDays;
  const isFresh = (metadata: ClientKeyMetadata, unixSeconds: number): boolean =>
    maxAgeDays === undefined || clientKeyIsFresh(metadata, unixSeconds, maxAgeDays * DAY_SECONDS);
  const common = {
    serverKey,
    replayWindow,
    ...(controlWrap.beside.kind === 'none' ? {} : { fallback: sharedWraps(options, controlWrap.beside) }),
  };
  const all = tlsCryptV2ServerWraps({ ...common, admits: isFresh });
  return {
    all,
    forClient: (judged) =>
      judged === undefined
        ? all
        : tlsCryptV2ServerWraps({
            ...common,
            admits: (metadata, unixSeconds) => isFresh(metadata, unixSeconds) && sameMetadata(metadata, judged),
          }),
  };
}

function alike(all: ControlWrapFactory): ControlWraps {
  return { all, forClient: () => all };
}

function sharedWraps(options: Options, controlWrap: SharedWrapOptions): ControlWrapFactory {
  const { replayWindow, auth } = options.dataChannel;
  switch (controlWrap.kind) {
    case 'none':
      return plainWraps();
    case 'tls-auth': {
      const { direction } = controlWrap;
      if (auth === 'none') {
        throw new SourceFileError("ERROR: tls-auth enabled, but no valid --auth algorithm specified ('none')");
      }
      return tlsAuthWraps({
        key: readStaticKey(controlWrap.key),
        direction: direction === undefined ? 'both' : direction === 0 ? 'normal' : 'inverse',
        digest: auth,
        replayWindow,
      });
    }
    case 'tls-crypt':
      return tlsCryptWraps({ key: readStaticKey(controlWrap.key), role: options.tls.role, replayWindow });
  }
}

function readStaticKey(source: FileSource): Secret {
  return readKey(source, parseStaticKey, 'an OpenVPN static key', 'secret');
}

/** Whether two client keys say the same of themselves. */
export function sameMetadata(a: ClientKeyMetadata, b: ClientKeyMetadata): boolean {
  if (a.type === 'timestamp') return b.type === 'timestamp' && a.unixSeconds === b.unixSeconds;
  if (a.type === 'none') return b.type === 'none';
  return a.type === b.type && Buffer.compare(a.bytes, b.bytes) === 0;
}
