import type { CompressionAlgorithm } from '@openvpnd/config';
import type { PeerSettings } from '@openvpnd/data-channel';

/** How the data channel marks payloads under an algorithm of --compress or --comp-lzo. */
export function compressionSetting(algorithm: CompressionAlgorithm | undefined): PeerSettings['compression'] {
  switch (algorithm) {
    case undefined:
      return undefined;
    case 'lzo':
      return { framing: 'lzo', decompress: true };
    case 'lzo-stub':
      return { framing: 'lzo', decompress: false };
    case 'stub':
      return { framing: 'swap', decompress: false };
    case 'lz4':
      return { framing: 'swap', decompress: true };
    case 'stub-v2':
      return { framing: 'v2', decompress: false };
    case 'lz4-v2':
      return { framing: 'v2', decompress: true };
  }
}

/** OpenVPN's name of an algorithm, where it prints what is in use. */
export const COMPRESSION_NAMES: Readonly<Record<CompressionAlgorithm, string>> = {
  lzo: 'lzo',
  'lzo-stub': 'stub',
  stub: 'stub',
  lz4: 'lz4',
  'stub-v2': 'stubv2',
  'lz4-v2': 'lz4v2',
};
