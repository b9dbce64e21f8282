import type { Draft, Handlers } from '../draft.js';
import { type CompressionAlgorithm, isStub } from '../options/compression-options.js';
import type { Statement } from '../statement.js';
import { textAt } from './read-parameters.js';

/** OpenVPN: show_compression_warning(). */
const RECEIVING_WARNING =
  'WARNING: Compression for receiving enabled. Compression has been used in the past to break encryption. Sent packets are not compressed.';

function choose(draft: Draft, algorithm: CompressionAlgorithm, advertiseStubsOnly: boolean): undefined {
  draft.compression = { algorithm, migrate: draft.compression?.migrate ?? false, advertiseStubsOnly };
  if (!isStub(algorithm)) draft.warnings.push(RECEIVING_WARNING);
  return undefined;
}

/** Names of `compress` and what they stand for. */
const ALGORITHMS: ReadonlySet<string> = new Set<CompressionAlgorithm>(['stub', 'stub-v2', 'lzo', 'lz4', 'lz4-v2']);

function compress(draft: Draft, statement: Statement): string | undefined {
  const name = statement.parameters[0] ?? 'stub';
  if (name === 'migrate') {
    draft.compression = { algorithm: undefined, migrate: true, advertiseStubsOnly: false };
    return undefined;
  }
  if (!ALGORITHMS.has(name)) return `bad comp option: ${name}; allowed: ${[...ALGORITHMS].join(', ')}, migrate`;
  return choose(draft, name as CompressionAlgorithm, name === 'stub' || name === 'stub-v2');
}

function compLzo(draft: Draft, statement: Statement): string | undefined {
  // It is adaptive or not for who compresses.
  return choose(draft, statement.parameters[0] === 'no' ? 'lzo-stub' : 'lzo', false);
}

function allowCompression(draft: Draft, statement: Statement): string | undefined {
  const mode = textAt(statement, 0);
  if (mode === 'no') {
    if (!isStub(draft.compression?.algorithm)) return "'--allow-compression no' conflicts with  enabling compression";
    draft.allowCompression = 'no';
    return undefined;
  }
  if (draft.allowCompression === 'no') return `Cannot set allow-compression to '${mode}' after set to 'no'`;
  draft.allowCompression = mode === 'yes' ? 'yes' : 'asym';
  if (mode === 'yes') {
    draft.warnings.push('Note: allow-compression yes is taken for asym: packets that are sent are never compressed');
  }
  return undefined;
}

/** Compression framings. */
export const COMPRESSION_HANDLERS: Handlers = { compress, 'comp-lzo': compLzo, 'allow-compression': allowCompression };
