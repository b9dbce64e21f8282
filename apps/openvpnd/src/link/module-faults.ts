/** Where the modules of `--transport` that this process has loaded stand: the URL of each, by the name that the configuration gives it. They stay loaded to its end. */
const LOADED = new Map<string, string>();

/** A module has been loaded from a URL. */
export function moduleLoaded(module: string, url: string): void {
  LOADED.set(module, url);
}

/**
 * The line for what nobody caught, when it comes out of a module of `--transport`: one of its files is on the stack, or what was thrown is no Error, as nobody else does here. Undefined:
 * no module has to do with it.
 */
export function moduleFault(error: unknown): string | undefined {
  const modules = [...LOADED];
  if (!(error instanceof Error)) {
    return modules.length === 0 ? undefined : faultLine(modules.map(([module]) => module).join(' or '), String(error));
  }
  const frames = (error.stack ?? '').split('\n').slice(1);
  const found = modules.find(([, url]) => frames.some((frame) => isOf(frame, url)));
  return found === undefined ? undefined : faultLine(found[0], error.message);
}

/** What a module consists of stands beside it; packages below it are others. */
function isOf(frame: string, url: string): boolean {
  const directory = url.slice(0, url.lastIndexOf('/') + 1);
  const at = frame.indexOf(directory);
  return at >= 0 && !frame.slice(at + directory.length).includes('node_modules/');
}

function faultLine(module: string, reason: string): string {
  return `--transport ${module}: the module broke in a callback of its own: ${reason} (mend the module, or go without it)`;
}
