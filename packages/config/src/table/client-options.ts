import { implemented, many, may, need, type OptionSpec, planned, removed, some, standAlone } from '../option-spec.js';
import { choice, PATH, TEXT } from '../parameter-kind.js';

/** Client policy, management, plugins, scripts. */
export const CLIENT_OPTIONS: readonly OptionSpec[] = [
  implemented('pull', 'CORE', ['GENERAL'], [], 'Accept options from the server.'),
  implemented(
    'pull-filter',
    'COMMON',
    ['GENERAL'],
    [need('action', choice(['accept', 'ignore', 'reject'], 'Unknown --pull-filter type: %s')), need('text', TEXT)],
    'Accept, ignore or reject pushed options that begin with the text.',
  ),
  planned('up', 'CORE', ['SCRIPT'], [many('cmd', TEXT)], 'Script to run after the device is opened.'),
  planned('down', 'CORE', ['SCRIPT'], [many('cmd', TEXT)], 'Script to run after the device is closed.'),
  planned(
    'management',
    'CORE',
    ['GENERAL'],
    [need('address', TEXT), need('port', TEXT), may('password-file', PATH)],
    'Interface for other programs, on TCP or, with port "unix", on a socket.',
  ),
  planned('management-hold', 'CORE', ['GENERAL'], [], 'Wait for the management interface before the start.'),
  planned('management-query-passwords', 'CORE', ['GENERAL'], [], 'Ask the management interface for passwords.'),
  planned('management-client-auth', 'CORE', ['GENERAL'], [], 'Let the management interface judge clients.'),
  planned('management-client', 'COMMON', ['GENERAL'], [], 'Connect to the management program.'),
  planned('management-client-user', 'COMMON', ['GENERAL'], [need('user', TEXT)], 'User that may manage.'),
  planned('management-client-group', 'COMMON', ['GENERAL'], [need('group', TEXT)], 'Group that may manage.'),
  planned('management-signal', 'COMMON', ['GENERAL'], [], 'Restart when management disconnects.'),
  planned('management-forget-disconnect', 'COMMON', ['GENERAL'], [], 'Forget passwords when management disconnects.'),
  planned('management-log-cache', 'COMMON', ['GENERAL'], [need('lines', TEXT)], 'Lines of log to keep.'),
  planned('management-up-down', 'COMMON', ['GENERAL'], [], 'Report the tunnel to management.'),
  planned('management-query-remote', 'COMMON', ['GENERAL'], [], 'Ask management for the peer.'),
  planned('management-query-proxy', 'RARE', ['GENERAL'], [], 'Ask management for the proxy.'),
  planned('management-external-key', 'RARE', ['GENERAL'], [many('padding', TEXT)], 'Let management sign.'),
  planned('management-external-cert', 'RARE', ['GENERAL'], [need('hint', TEXT)], 'Ask management for the certificate.'),
  removed('foreign-option', 'OBSOLETE', 'removed in OpenVPN 2.6'),
  planned('plugin', 'COMMON', ['PLUGIN'], [some('module', TEXT)], 'Load a plugin.'),
  standAlone(planned('show-gateway', 'RARE', ['GENERAL'], [may('address', TEXT)], 'Print the default gateway.')),
];
