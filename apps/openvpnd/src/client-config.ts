/** What `--client-config-dir` (and nothing else yet) says about one client. Addresses are text that was checked. */
export interface ClientConfig {
  /** `disable`. */
  readonly disabled: boolean;
  /** `push-reset`: none of the server's own push options. */
  readonly pushReset: boolean;
  /** `push-remove`: prefixes of options that are not pushed. */
  readonly pushRemove: readonly string[];
  /** `push`, after the server's own. */
  readonly push: readonly string[];
  /** `ifconfig-push`: local address and its remote or netmask. */
  readonly ifconfigPush?: { readonly local: string; readonly remoteOrNetmask: string };
  /** `ifconfig-ipv6-push`. */
  readonly ifconfigIpv6Push?: { readonly address: string; readonly prefixBits: number };
  /** `iroute`, `iroute-ipv6`. */
  readonly routes: readonly { readonly network: string; readonly prefixBits: number }[];
}

/** What a server knows of a client by its common name: nothing special, a refusal, or its configuration. */
export type ClientConfigAnswer =
  | { readonly type: 'none' }
  | { readonly type: 'found'; readonly config: ClientConfig }
  /** `--ccd-exclusive` without a file, or a file that cannot be used. */
  | { readonly type: 'refused'; readonly reason: string };

/** A client about whom nothing is configured. */
export const PLAIN_CLIENT: ClientConfig = {
  disabled: false,
  pushReset: false,
  pushRemove: [],
  push: [],
  routes: [],
};
