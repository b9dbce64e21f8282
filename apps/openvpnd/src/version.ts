/** The OpenVPN release whose behaviour, messages and peer info this daemon has. */
export const OPENVPN_VERSION = '2.6.14';
