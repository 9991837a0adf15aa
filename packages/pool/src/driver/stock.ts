/**
 * Is a method of the driver still the driver's own? Tracing tools wrap it, or patch its source as it is loaded. If in doubt, it counts as
 * wrapped: that path costs more, and is right as well.
 */

type Method = (...values: never[]) => unknown

export type MethodName = 'pool.connect' | 'pool.query' | 'pool.end' | 'client.query'

/** How the methods of pg, pg-pool and Neon's bundle begin, minified or not, and what else is in them. pg 8.11 to 8.23, pg-pool 3.6 to 3.14. */
const STOCK: Readonly<Record<MethodName, RegExp>> = {
  'pool.connect': /^if ?\(this\.ending\)[\s\S]*\.newClient\(/,
  'pool.query': /^if ?\([^)]*(?:typeof|poolQueryViaFetch)[\s\S]*\.query\(/,
  'pool.end': /^(?:if ?\()?this\.log\([\s\S]*\._endCallback/,
  'client.query': /^if ?\([\s\S]*\._pulseQueryQueue\(/,
}

/** White space, comments, and declarations without a value. */
const PREAMBLE = /^(?:\s+|\/\/.*|\/\*[\s\S]*?\*\/|(?:let|var) [\w$, ]+(?:;|$))+/m

const known = new WeakMap<Method, boolean>()

export function isStock(name: MethodName, method: unknown): boolean {
  if (typeof method !== 'function') return false
  let isIt = known.get(method as Method)
  if (isIt === undefined) {
    const source = Function.prototype.toString.call(method)
    isIt = STOCK[name].test(source.slice(source.indexOf('{') + 1).replace(PREAMBLE, ''))
    known.set(method as Method, isIt)
  }
  return isIt
}

/**
 * Checks the same method again and again: returns the function that tells whether it has been replaced. It costs one comparison while
 * nothing changes.
 */
export function watchMethod(owner: object, key: string, name: MethodName): () => Method | undefined {
  let stock: unknown
  return () => {
    const method = (owner as Readonly<Record<string, unknown>>)[key]
    if (method === stock) return undefined
    if (!isStock(name, method)) return method as Method
    stock = method
    return undefined
  }
}
