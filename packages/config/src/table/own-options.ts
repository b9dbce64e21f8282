import { implemented, many, need, type OptionSpec } from '../option-spec.js';
import { choice, integer, RACE, TEXT } from '../parameter-kind.js';

/**
 * Options that OpenVPN does not know. In a file that both programs read they are written `setenv opt NAME …`, which OpenVPN skips.
 */
export const OWN_OPTIONS: readonly OptionSpec[] = [
  implemented(
    'listen',
    'OWN',
    ['GENERAL', 'INLINE'],
    [need('block', TEXT)],
    'A <listen> block: one more place where a server listens, with its own link options.',
  ),
  implemented('tag', 'OWN', ['LISTEN'], [need('name', TEXT)], 'Name of a <listen> block in log and status.'),
  implemented(
    'bind-policy',
    'OWN',
    ['GENERAL', 'LISTEN'],
    [need('which', choice(['any', 'all']))],
    'Whether any address of a local host name is enough (the default), or all have to be bound.',
  ),
  implemented(
    'transport',
    'OWN',
    ['GENERAL', 'CONNECTION', 'LISTEN'],
    [need('module', TEXT), many('arg', TEXT)],
    'A module that carries the packets instead of UDP or TCP.',
  ),
  implemented(
    'listen-backlog',
    'OWN',
    ['GENERAL', 'LISTEN'],
    [need('n', integer(1, 65_535))],
    'Connections that the system accepts ahead of a TCP server; default 512.',
  ),
  implemented('ipv4', 'OWN', ['GENERAL'], [], 'Use IPv4 alone outside of the tunnel.'),
  implemented('ipv6', 'OWN', ['GENERAL'], [], 'Use IPv6 alone outside of the tunnel.'),
  implemented(
    'connect-race',
    'OWN',
    ['GENERAL', 'CONNECTION'],
    [need('ms', RACE)],
    'How long the other address family of a remote waits for the first, or off; default 250 for TCP, 2000 for UDP.',
  ),
];
