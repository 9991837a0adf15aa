/**
 * Time and randomness, bypassing what Next.js has put in front of them. With Cache Components it replaces `Date.now` and `Math.random`, and
 * stops prerendering a page that calls them, because its output could depend on them. No output depends on the clock that a pool reads.
 */

interface Realm {
  now(): number
  random(): number
}

interface Runtime {
  readonly EdgeRuntime?: string
  readonly process?: { getBuiltinModule?(name: 'node:vm'): { runInNewContext(code: string): unknown } | undefined }
  /** Of the DOM's `File`. */
  readonly File?: new (
    parts: readonly never[],
    name: string,
  ) => { readonly lastModified: number }
}

const runtime = globalThis as unknown as Runtime

let known: Realm | 'none' | undefined

/** `Date.now`; or, if it is masked, a function that returns the same time. */
export function unmaskedNow(now: () => number): () => number {
  if (!isMasked(now)) return now
  const realm = ownRealm()
  if (realm) return realm.now
  const { File } = runtime
  // If there is no second realm, as in workerd: the current time by the standard, ten times as slow.
  return File ? () => new File([], '').lastModified : now
}

/** The same for `Math.random`. Without a second realm, the masked one: it is used only for pauses between retries. */
export function unmaskedRandom(random: () => number): () => number {
  return (isMasked(random) && ownRealm()?.random) || random
}

/**
 * Next.js binds its replacements, so that they print like the runtime's own, and a bound function prints without a name. Fake timers and
 * other replacements in plain JavaScript do not: they are installed to be used.
 */
function isMasked(given: () => number): boolean {
  return /^function\s*\(\)\s*\{\s*\[native code\]/.test(Function.prototype.toString.call(given))
}

/** Another realm has its own functions. It takes a millisecond to create, once in each process that needs it. */
export function ownRealm(): Realm | undefined {
  if (known === undefined) known = createRealm() ?? 'none'
  return known === 'none' ? undefined : known
}

/** Through `process`, because bundlers would try to resolve an import on runtimes that have no such module. */
function createRealm(): Realm | undefined {
  // Under `next dev`, reading a member of `process` that belongs to Node throws here.
  if (runtime.EdgeRuntime !== undefined) return undefined
  try {
    return runtime.process?.getBuiltinModule?.('node:vm')?.runInNewContext('({ now: Date.now, random: Math.random })') as Realm | undefined
  } catch {
    // workerd has the module, but throws when it is used.
    return undefined
  }
}
