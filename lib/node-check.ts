// The check of Node's version that the first import of every public entry makes: on a Node too old
// for the rest it throws one clear line. For that the whole module graph must link on old versions,
// so names that those lack are not imported from Node's modules but read from the modules' default
// exports where they are used.

/** Throws unless Node's version is new enough. `needed`: the versions, in words. */
export function checkNode(
  needed: string,
  isNewEnough: (major: number, minor: number) => boolean,
): void {
  const { node } = process.versions
  const [major = 0, minor = 0] = node.split('.').map(Number)
  if (isNewEnough(major, minor)) return
  const error = new Error(`memslab needs ${needed}; this is ${node}`)
  // The stack would say nothing.
  error.stack = error.message
  throw error
}
