import type { ConnectionEntry, Options } from '@openvpnd/config';
import { type ControlWrapFactory, plainWraps, tlsAuthWraps, tlsCryptWraps } from '@openvpnd/control-wrap';
import { parseStaticKey } from '@openvpnd/keygen';
import type { Secret } from '@openvpnd/sans-io';
import { readSource, SourceFileError } from './host/source-files.js';

/**
 * How control packets are protected on one connection, with the key read from its file.
 *
 * @throws SourceFileError when the key cannot be read or is not a static key
 */
export function controlWraps(options: Options, entry: ConnectionEntry): ControlWrapFactory {
  const { controlWrap } = entry;
  const replayWindow = options.dataChannel.replayWindow;
  switch (controlWrap.kind) {
    case 'none':
      return plainWraps();
    case 'tls-auth': {
      const { direction } = controlWrap;
      return tlsAuthWraps({
        key: readStaticKey(controlWrap.key),
        direction: direction === undefined ? 'both' : direction === 0 ? 'normal' : 'inverse',
        digest: options.dataChannel.auth,
        replayWindow,
      });
    }
    case 'tls-crypt':
      return tlsCryptWraps({ key: readStaticKey(controlWrap.key), role: options.tls.role, replayWindow });
  }
}

type KeySource = Exclude<ConnectionEntry['controlWrap'], { kind: 'none' }>['key'];

function readStaticKey(source: KeySource): Secret {
  const parsed = parseStaticKey(readSource(source).toString('latin1'));
  if (parsed.ok) return parsed.value;
  const { file, line } = source.origin;
  const where = source.kind === 'file' ? `'${source.path}'` : 'the inline block';
  throw new SourceFileError(
    `--${source.option} (${file}:${line}): ${where} is not an OpenVPN static key: ${parsed.reason}; make one with openvpn --genkey secret FILE`,
  );
}
