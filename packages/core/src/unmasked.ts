/**
 * Time and chance past what Next.js has put in front of them. With Cache Components it replaces `Date.now` and `Math.random`, and stops prerendering a
 * page in which somebody calls them, for its output could depend on them. Nobody's output depends on what a pool reads of a clock.
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

/** `Date.now`, or where it is masked, a function that tells the same time. */
export function unmaskedNow(now: () => number): () => number {
  if (!isMasked(now)) return now
  const realm = ownRealm()
  if (realm) return realm.now
  const { File } = runtime
  // Where a realm cannot be had, as in workerd: "now" by the standard, and ten times as slow.
  return File ? () => new File([], '').lastModified : now
}

/** The same for `Math.random`. Where no realm can be had, what there is: it is drawn for pauses between repeats only. */
export function unmaskedRandom(random: () => number): () => number {
  return (isMasked(random) && ownRealm()?.random) || random
}

/**
 * Next.js binds its replacements, so that they print as the runtime's own do, and a bound function prints without a name. Fake timers and other
 * replacements in plain JavaScript are none of this: whoever installs them wants to be heard.
 */
function isMasked(given: () => number): boolean {
  return /^function\s*\(\)\s*\{\s*\[native code\]/.test(Function.prototype.toString.call(given))
}

/** Another realm has functions of its own. A millisecond to make, once for each process that needs it. */
function ownRealm(): Realm | undefined {
  if (known === undefined) known = createRealm() ?? 'none'
  return known === 'none' ? undefined : known
}

/** By `process`, since an import would be looked for by bundlers on runtimes that have no such module. */
function createRealm(): Realm | undefined {
  // There, under `next dev`, whoever asks for a member of `process` that is of Node is thrown an error.
  if (runtime.EdgeRuntime !== undefined) return undefined
  try {
    return runtime.process?.getBuiltinModule?.('node:vm')?.runInNewContext('({ now: Date.now, random: Math.random })') as Realm | undefined
  } catch {
    // workerd has the module, and throws when it is used.
    return undefined
  }
}
