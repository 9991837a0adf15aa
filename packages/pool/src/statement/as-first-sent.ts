/** A statement that is sent again is what it was when it was first sent, whatever its caller has done to its values or configuration since. */

/** What a statement was when it was first sent. */
export interface Sent {
  /** The caller's own, of which node-postgres reads more than we know. Undefined: a text with separate values. */
  readonly config: object | undefined
  readonly text: unknown
  readonly values: readonly unknown[]
}

/**
 * What must be remembered of a statement that is being sent. Undefined: nothing of it can change. The array is copied, not the values in
 * it: node-postgres does not copy those either.
 */
export function rememberSent(text: unknown, values: unknown): Sent | undefined {
  if (typeof text !== 'object' || text === null)
    return Array.isArray(values) ? { config: undefined, text, values: values.slice() } : undefined
  const config = text as { readonly text?: unknown; readonly values?: unknown }
  // In pg, values beside a configuration win.
  const used = values || config.values
  return Array.isArray(used) ? { config, text: config.text, values: used.slice() } : undefined
}

/** The arguments with which to send it again. */
export function asFirstSent(sent: Sent | undefined): { readonly text?: unknown; readonly values?: unknown } | undefined {
  if (!sent?.config) return sent && { text: sent.text, values: sent.values }
  // Over the caller's own object: a text may come from a prototype.
  const own = { text: { value: sent.text, enumerable: true }, values: { value: sent.values, enumerable: true } }
  return { text: Object.create(sent.config, own), values: undefined }
}
