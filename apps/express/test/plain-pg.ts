/**
 * node-postgres in the place of `@thaw/pg`, in a process that is started with `--import` of this file: the same app, but for that one word
 * of its source.
 */

import { registerHooks } from 'node:module'
import pg from 'pg'

/** The app asks whether an error is one of these. None is. */
export { ThawError } from '@thaw/vercel'

export class Pool extends pg.Pool {
  constructor(options?: pg.PoolConfig) {
    super(options)
    // As node-postgres' guide says. Without it, the first idle connection to die ends the process.
    this.on('error', () => {})
  }
}

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@thaw/pg' ? { url: import.meta.url, shortCircuit: true } : next(specifier, context),
})
