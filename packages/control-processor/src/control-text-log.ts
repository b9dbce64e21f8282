/** A control message as it may stand in a log: tokens and challenge answers are left out. OpenVPN: sanitize_control_message(). */
export function loggableText(text: string): string {
  return text
    .replace(/(auth-token(?:-user)? )[^,]*/g, '$1[…]')
    .replace(/SESS_ID_AT_[^,]*/g, 'SESS_ID_AT_[…]')
    .replace(/^(CR_RESPONSE,).*/, '$1[…]')
    .replace(/^(AUTH_FAILED,CRV1:).*/, '$1[…]');
}
