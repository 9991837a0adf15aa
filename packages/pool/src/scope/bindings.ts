/**
 * The bindings of a Worker, without an `import` of `cloudflare:workers`: bundlers that know nothing of Workers stop at one, and so does Node, in which
 * build tools load the modules of an app.
 */

interface WorkersModule {
  readonly env: object
}

interface Runtime {
  readonly process?: { getBuiltinModule?(name: string): WorkersModule | undefined }
}

const NAME = 'cloudflare:workers'

/** Where `process` does not have it: by an import that has ended long before the first request comes. */
let imported: WorkersModule | undefined

/** To be called while modules are loaded, in a Worker. */
export function prepareBindings(): void {
  if (builtin()) return
  import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ NAME).then(
    (found: WorkersModule) => {
      imported = found
    },
    () => {},
  )
}

/** Not to be called before there is a request: some bindings may not be read in the global scope. */
export function currentBindings(): object {
  return (builtin() ?? imported)?.env ?? {}
}

function builtin(): WorkersModule | undefined {
  try {
    return (globalThis as Runtime).process?.getBuiltinModule?.(NAME)
  } catch {
    return undefined
  }
}
