// What Node offers beside the language: its modules, the environment. A page has none of it, and Deno refuses what was
// not permitted; whoever asks gets undefined and does without.

/** What Node answers, or undefined where there is no Node or it refuses. */
export function askNode<T>(ask: (node: NodeJS.Process) => T): T | undefined {
  try {
    return ask(process)
  } catch {
    return undefined
  }
}

/** A variable of the environment, or undefined where it is not set, is empty or may not be read. */
export const environment = (name: string): string | undefined => askNode(({ env }) => env[name]) || undefined
