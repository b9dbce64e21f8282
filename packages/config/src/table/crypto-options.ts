import { ignored, implemented, many, may, need, type OptionSpec, planned, removed, some, standAlone } from '../option-spec.js';
import { choice, PATH, TEXT } from '../parameter-kind.js';

/** Data channel: ciphers and compression; and what prints or makes keys. */
export const CRYPTO_OPTIONS: readonly OptionSpec[] = [
  implemented('data-ciphers', 'CORE', ['GENERAL', 'INSTANCE'], [need('list', TEXT)], 'Ciphers to negotiate, by colons.'),
  implemented('ncp-ciphers', 'COMMON', ['GENERAL', 'INSTANCE'], [need('list', TEXT)], 'Old name of data-ciphers.'),
  implemented(
    'data-ciphers-fallback',
    'COMMON',
    ['GENERAL', 'INSTANCE'],
    [need('cipher', TEXT)],
    'Cipher for a peer that cannot negotiate.',
  ),
  implemented('cipher', 'CORE', ['NCP', 'INSTANCE'], [need('cipher', TEXT)], 'Cipher told to old peers; use data-ciphers.'),
  implemented('auth', 'CORE', ['GENERAL'], [need('digest', TEXT)], 'Digest of tls-auth and of ciphers without own authentication; default SHA1.'),
  implemented(
    'key-derivation',
    'CORE',
    ['NCP'],
    [need('method', choice(['tls-ekm'], 'Unknown key-derivation method %s'))],
    'Pushed by servers: how keys are derived.',
  ),
  implemented('protocol-flags', 'CORE', ['NCP'], [some('flag', TEXT)], 'Pushed by servers: negotiated protocol features.'),
  planned('force-tls-key-material-export', 'RARE', ['GENERAL'], [many('', TEXT)], 'Refuse peers that cannot export keys.'),
  implemented(
    'allow-compression',
    'CORE',
    ['GENERAL'],
    [
      need(
        'mode',
        choice(['no', 'asym', 'yes'], "bad allow-compression option: %s -- must be 'yes', 'no', or 'asym'"),
      ),
    ],
    'Only "no", the default, is supported.',
  ),
  planned('compress', 'COMMON', ['COMP'], [may('algorithm', TEXT)], 'Compression framing.'),
  planned('comp-lzo', 'COMMON', ['COMP'], [may('mode', TEXT)], 'LZO compression framing.'),
  ignored('comp-noadapt', 'OBSOLETE', ['COMP'], [], 'Without effect.'),
  planned('secret', 'OBSOLETE', ['GENERAL', 'INLINE'], [need('file', PATH), may('direction', TEXT)], 'Static key in place of TLS.'),
  planned('allow-deprecated-insecure-static-crypto', 'OBSOLETE', ['GENERAL'], [], 'Allow static keys.'),
  removed(
    'no-replay',
    'OBSOLETE',
    'replay protection is always on',
    '--no-replay is not supported: replay protection is always on',
  ),
  removed('no-iv', 'OBSOLETE', 'removed in OpenVPN 2.5'),
  ignored(
    'prng',
    'OBSOLETE',
    ['GENERAL'],
    [need('digest', TEXT), may('length', TEXT)],
    'Without effect.',
    'NOTICE: --prng option ignored (SSL library PRNG is used)',
  ),
  removed('keysize', 'OBSOLETE', 'removed in OpenVPN 2.6: the cipher decides'),
  removed('ncp-disable', 'OBSOLETE', 'removed in OpenVPN 2.6: ciphers are always negotiated, see data-ciphers'),
  removed('use-prediction-resistance', 'OBSOLETE', 'removed from OpenVPN'),
  ignored('disable-occ', 'OBSOLETE', ['GENERAL'], [], 'Without effect with TLS.'),
  ignored(
    'opt-verify',
    'OBSOLETE',
    ['GENERAL'],
    [],
    'Without effect.',
    'DEPRECATION: opt-verify is deprecated and will be removed in OpenVPN 2.7',
  ),
  standAlone(planned('show-ciphers', 'COMMON', ['GENERAL'], [], 'Print the data channel ciphers.')),
  standAlone(planned('show-digests', 'COMMON', ['GENERAL'], [], 'Print the digests.')),
  standAlone(planned('show-tls', 'COMMON', ['GENERAL'], [], 'Print the TLS cipher suites.')),
  standAlone(planned('show-curves', 'COMMON', ['GENERAL'], [], 'Print the curves.')),
  standAlone(planned('show-groups', 'COMMON', ['GENERAL'], [], 'Print the groups.')),
  standAlone(planned('show-engines', 'COMMON', ['GENERAL'], [], 'Print the engines.')),
  standAlone(
    planned('genkey', 'CORE', ['GENERAL'], [may('type', TEXT), may('file', TEXT), may('metadata', TEXT)], 'Make a key.'),
  ),
];
