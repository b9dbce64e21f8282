/** A path as seen from a directory: absolute paths stay, others are put behind it. Slashes only; nothing is resolved. */
export function joinPath(directory: string | undefined, path: string): string {
  if (directory === undefined || path.startsWith('/')) return path;
  return directory.endsWith('/') ? `${directory}${path}` : `${directory}/${path}`;
}
