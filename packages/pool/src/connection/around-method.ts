/** What happens around a method of an object that is not ours. */

export type Method = (...values: unknown[]) => unknown

/** Does nothing where there is no such method. */
export function wrap(target: object, name: string, around: (inner: Method, ...values: unknown[]) => unknown): void {
  const methods = target as Record<string, unknown>
  const method = methods[name]
  if (typeof method !== 'function') return
  const inner: Method = (...values) => method.apply(target, values)
  methods[name] = (...values: unknown[]) => around(inner, ...values)
}

/** Calls `before` ahead of the method. Returns the function that restores it. */
export function hook(target: object, name: string, before: () => void): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  wrap(target, name, (inner, ...values) => {
    before()
    return inner(...values)
  })
  return () => {
    if (own) Object.defineProperty(target, name, own)
    else Reflect.deleteProperty(target, name)
  }
}
