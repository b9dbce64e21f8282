import type { FileSource } from './file-source.js';

/** A limit of so many events in so many seconds. */
export interface Frequency {
  readonly count: number;
  readonly seconds: number;
}

/** Options of a server of many clients. */
export interface ServerOptions {
  /** `ifconfig-pool`, also from `server`: first and last address, both included. */
  readonly pool: { readonly start: string; readonly end: string; readonly netmask: string | undefined } | undefined;
  /** `ifconfig-ipv6-pool`, also from `server-ipv6`: first address and the network's prefix length. */
  readonly poolIpv6: { readonly start: string; readonly bits: number } | undefined;
  /** `ifconfig-pool-persist`: the file, and every how many seconds it is written; 0: it is only read. */
  readonly poolPersist: { readonly path: string; readonly seconds: number } | undefined;
  /** Options for every client, in order: those of the file, then those of `server` and `keepalive`. */
  readonly push: readonly string[];
  readonly clientConfigDir: string | undefined;
  readonly ccdExclusive: boolean;
  readonly clientToClient: boolean;
  readonly duplicateCn: boolean;
  /** Default 1024. */
  readonly maxClients: number;
  /** `auth-user-pass-verify`: a program with its arguments, as written, and how it gets name and password. */
  readonly passwordVerify: { readonly command: string; readonly method: 'via-env' | 'via-file' } | undefined;
  /** `auth-gen-token`. */
  readonly authGenToken:
    | {
        /** 0: without end. */
        readonly lifetimeSeconds: number;
        /** By default that of `reneg-sec`. */
        readonly renewalSeconds: number;
        /** The program judges also who has a token. */
        readonly externalAuth: boolean;
        /** Undefined: a secret of the process. */
        readonly secret: FileSource | undefined;
      }
    | undefined;
  /** `connect-freq`; undefined: no limit. */
  readonly connectFreq: Frequency | undefined;
  /** `connect-freq-initial`, default 100 in 10 seconds. */
  readonly connectFreqInitial: Frequency;
}

/** A rule of `pull-filter`: applies to options that begin with the text. The first that matches decides. */
export interface PullFilter {
  readonly action: 'accept' | 'ignore' | 'reject';
  readonly text: string;
}

/** Options of a client that pulls. */
export interface ClientOptions {
  /** `route-nopull`. */
  readonly routeNopull: boolean;
  readonly pullFilters: readonly PullFilter[];
  /** `auth-user-pass`: user name and password in two lines. */
  readonly authUserPass: FileSource | undefined;
  readonly authRetry: 'none' | 'nointeract';
  readonly authNocache: boolean;
}
