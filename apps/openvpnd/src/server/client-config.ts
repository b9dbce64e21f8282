import type { ClientConfig } from '@openvpnd/config';

/** What a server knows of a client by its common name: nothing special, its configuration, or a refusal. */
export type ClientConfigAnswer =
  | { readonly type: 'none' }
  | { readonly type: 'found'; readonly config: ClientConfig }
  /** `--ccd-exclusive` without a file, or a file that cannot be read. */
  | { readonly type: 'refused'; readonly reason: string };
