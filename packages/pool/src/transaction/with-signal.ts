/** The signal of a transaction, for each of its statements that has none of its own. */
export function withSignal(config: unknown, signal: AbortSignal | undefined): unknown {
  if (!signal) return config
  if (typeof config === 'string') return { text: config, signal }
  if ((config as { signal?: unknown }).signal !== undefined) return config
  // As node-postgres copies it: text may come from a prototype, or from a getter.
  const own = Object.getOwnPropertyDescriptors(config as object)
  return Object.create(Object.getPrototypeOf(config), {
    ...own,
    signal: { value: signal, configurable: true, enumerable: true, writable: true },
  })
}
