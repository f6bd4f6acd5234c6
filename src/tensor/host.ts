// Access to Node: its modules and environment variables. The result is undefined in a browser, and in Deno without the
// permission.

/** The result of a function of Node's process object, or undefined without Node or without the permission. */
export function askNode<T>(ask: (node: NodeJS.Process) => T): T | undefined {
  try {
    return ask(process)
  } catch {
    return undefined
  }
}

/** An environment variable, or undefined if it is not set, is empty or may not be read. */
export const environment = (name: string): string | undefined => askNode(({ env }) => env[name]) || undefined
