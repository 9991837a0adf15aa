/** An error as it crosses a process border: structured clone alone keeps neither its class name nor its own fields. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause?: WireError
}

// Deep enough for any real chain of causes, and an end for a chain that forms a circle.
const MAX_DEPTH = 8

/** Packs whatever was thrown. */
export function packError(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: `Thrown value: ${String(thrown)}`, stack: undefined, fields: {} }
  const { name, message, stack } = thrown
  const fields = Object.fromEntries(Object.entries(thrown).filter(([key, value]) => key !== 'cause' && isPlain(value)))
  const error = { name, message, stack, fields }
  return thrown.cause === undefined || depth === MAX_DEPTH ? error : { ...error, cause: packError(thrown.cause, depth + 1) }
}

/** Makes an `Error` with the same name, message, stack, code, other plain fields and cause. It is not of the same class. */
export function unpackError({ name, message, stack, fields, cause }: WireError): Error {
  const error = new Error(message, cause && { cause: unpackError(cause) })
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  if (stack !== undefined) Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true })
  return Object.assign(error, fields)
}

// Sockets, functions and the like are attached to errors too, and cannot be sent.
function isPlain(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean', 'bigint', 'undefined'].includes(typeof value)
}
