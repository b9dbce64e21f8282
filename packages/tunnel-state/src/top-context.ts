/**
 * What a server holds for its whole process: the options and the modules that all tunnels share. It is no active tunnel: it has no peer, no keys and no slot, which
 * is why it is a type of its own. OpenVPN: the context in "top" variables, mode CM_TOP.
 */
export class TopContext<Options, Modules> {
  readonly mode = 'CM_TOP';
  readonly options: Options;
  readonly modules: Modules;

  /** @param content held, never looked into */
  constructor(content: { readonly options: Options; readonly modules: Modules }) {
    this.options = content.options;
    this.modules = content.modules;
  }
}
