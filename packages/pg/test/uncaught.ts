/** Collects what would have ended the process. Vitest's own listener would fail the run. */
export function catchUncaught(): { readonly messages: readonly string[]; stop(): Promise<string[]> } {
  const messages: string[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', ({ message }) => messages.push(message))
  return {
    messages,
    async stop() {
      await new Promise(setImmediate)
      process.removeAllListeners('uncaughtException')
      for (const listener of others) process.on('uncaughtException', listener)
      return messages
    },
  }
}
