/**
 * The bindings of a Worker, without an `import` of `cloudflare:workers`: bundlers that do not know Workers fail on one, and so does Node,
 * in which build tools load an app's modules.
 */

import { builtin } from '../driver/builtin.ts'

interface WorkersModule {
  readonly env: object
}

const NAME = 'cloudflare:workers'

/** If `process` does not have it: through an import that has finished long before the first request. */
let imported: WorkersModule | undefined

/** Call it while modules are loaded, in a Worker. */
export function prepareBindings(): void {
  if (builtin(NAME)) return
  import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ NAME).then(
    (found: WorkersModule) => {
      imported = found
    },
    () => {},
  )
}

/** Do not call it before there is a request: some bindings must not be read in the global scope. */
export function currentBindings(): object {
  return (builtin<WorkersModule>(NAME) ?? imported)?.env ?? {}
}
