/**
 * Are two configurations the same? They are compared by value, because after a reload every object in them is a new one. Functions cannot
 * be compared: the same one has a different text in each bundle.
 */

/** The same text for the same configuration. It may contain secrets: it is kept in memory beside them, and nowhere else. */
export function fingerprint(value: unknown): string {
  const path: object[] = []
  const describe = (part: unknown): string => {
    if (typeof part === 'function') return 'function'
    if (typeof part !== 'object' || part === null) return `${typeof part} ${String(part)}`
    if (path.includes(part)) return 'itself'
    path.push(part)
    const entries = Object.entries(part).filter(([, inner]) => inner !== undefined)
    const text = entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => `${JSON.stringify(name)}: ${describe(inner)}`)
    path.pop()
    return `{${text.join(', ')}}`
  }
  return describe(value)
}
