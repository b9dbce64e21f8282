export { type ClientConfig, type ClientConfigResult, editPushList, parseClientConfig } from './client-config.js';
export {
  type DecodedText,
  decodeConfig,
  MAX_CONFIG_BYTES,
  readStatements,
  type StatementsResult,
} from './config-text.js';
export { type Context, isAllowedIn, mayBeInline } from './context.js';
export type { PushEdit } from './draft.js';
export { DEFAULT_DATA_CIPHERS } from './finish-options.js';
export { type IntegerResult, isInteger, MAX_INTEGER, MIN_INTEGER, parseInteger } from './integer.js';
export { KEY_TYPES, type KeyRequest, type KeyType } from './key-request.js';
export type { ConfigFiles, ReadFileResult, StandAlone } from './option-reader.js';
export { MAX_CONFIG_DEPTH } from './option-reader.js';
export {
  type DeploymentClass,
  maxParameters,
  minParameters,
  type OptionSpec,
  type OptionStatus,
  type Parameter,
  type Permission,
  syntaxOf,
} from './option-spec.js';
export { describeOption, OPTION_SECTIONS, OPTION_TABLE, type OptionSection, suggestOption } from './option-table.js';
export { type CompressionAlgorithm, type CompressionOptions, isStub } from './options/compression-options.js';
export type {
  ConnectionEntry,
  ControlWrapOptions,
  Fragment,
  LinkOptions,
  MssFix,
  MtuDiscovery,
  PingOptions,
  SharedWrapOptions,
  SocketOptions,
} from './options/connection-entry.js';
export type {
  DeviceOptions,
  DhcpOption,
  DnsOptions,
  Ifconfig,
  IfconfigIpv6,
  RedirectGateway,
  Route,
  RouteIpv6,
  RouteOptions,
  Topology,
} from './options/device-options.js';
export type { FileSource } from './options/file-source.js';
export type { Listener } from './options/listener.js';
export type { Options } from './options/options.js';
export type { EnvironmentVariable, LogOptions, ProcessOptions } from './options/process-options.js';
export type {
  HttpProxyAuthentication,
  HttpProxyOptions,
  PortShareOptions,
  ProxyOptions,
  SocksProxyOptions,
  TransportOptions,
} from './options/proxy-options.js';
export type { ClientOptions, Frequency, PullFilter, ServerOptions } from './options/server-options.js';
export type {
  DataChannelOptions,
  RenegotiationOptions,
  StaticKeyOptions,
  TlsOptions,
  TlsVersion,
} from './options/tls-options.js';
export { describeKind, type ParameterKind } from './parameter-kind.js';
export { type OptionsResult, parseArguments, parseConfigText } from './parse-options.js';
export type { Protocol } from './protocol.js';
export { applyPushUpdate, type UpdatedOptions } from './push-update.js';
export {
  MAX_PULLED_OPTIONS,
  type PulledOptions,
  type PulledResult,
  type PullPolicy,
  parsePushReply,
} from './pushed-options.js';
export { COMMAND_LINE, formatOrigin, type Origin, PUSH_OPTIONS, type Statement } from './statement.js';
export { LINE_BYTES, MAX_PARAMETERS, PARAMETER_BYTES, type Tokens, tokeniseLine } from './tokenise-line.js';
export { usage } from './usage.js';
export { MAX_USER_PASS_BYTES, parseUserPass, type UserPassResult } from './user-pass.js';
