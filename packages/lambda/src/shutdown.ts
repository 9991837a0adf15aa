/** What happens to the connections when Lambda ends the process, or freezes it. */

import { isMainThread } from 'node:worker_threads'
import { checkOptions, type OptionRules, systemClock } from '@thaw/core'
import { closeIdle, type EndablePool } from './closing.ts'
import { type Extension, registerExtension } from './extension.ts'
import { forget, isRunning, whenEnded } from './invocations.ts'

export type { EndablePool } from './closing.ts'

/** Options of `registerShutdown`. */
export interface ShutdownOptions {
  /**
   * Also closes idle connections after each response, before the process is frozen. Default false: the next invocation needs them. For a
   * database that limits connections, or that cannot suspend while one is open. Costs a connection attempt per invocation, and the time to
   * close, a few milliseconds, is billed; the response does not wait for it. Needs `withThaw` around the handler, to know when it is done.
   */
  readonly beforeFreeze?: boolean | undefined
}

const RULES: OptionRules = { beforeFreeze: { type: 'boolean' } }
/** The handler gets its event when we get ours. If it has not begun by now, there is no wrapper around it. */
const BEGIN_MILLIS = 1000

const pools = new Set<EndablePool>()
const drained = new Set<EndablePool>()
const extensions = new Map<boolean, Promise<boolean>>()

/**
 * Closes the pool's connections when Lambda ends the process. Otherwise Lambda kills the process without a signal, and the server keeps its
 * sessions until it notices. Registers an internal extension, so that Lambda sends SIGTERM half a second before it kills.
 *
 * Call it at module level. You need not await it, so it works in CommonJS and in bundles, which have no `await` there: the request to
 * Lambda is sent before the runtime can report that the function is ready. Takes the `Pool` of `@thaw/pg` or of `pg`.
 *
 * @returns a promise, which never rejects, of whether there is such an extension. False if there cannot be one: outside Lambda, and in the
 *   threads of a managed instance, which receive no signal. Also false, with a warning, if Lambda refuses, as it does after the first
 *   invocation has begun.
 * @throws {OptionError} at once, for an impossible or misspelt option.
 */
export function registerShutdown(pool: EndablePool, options: ShutdownOptions = {}): Promise<boolean> {
  checkOptions(options, RULES, 'refuse')
  const address = process.env['AWS_LAMBDA_RUNTIME_API']
  if (!address || !isMainThread) return Promise.resolve(false)
  const beforeFreeze = options.beforeFreeze === true
  if (pools.size === 0) process.once('SIGTERM', () => void terminate())
  pools.add(pool)
  if (beforeFreeze) drained.add(pool)
  const registered = extensions.get(beforeFreeze) ?? start(address, beforeFreeze)
  extensions.set(beforeFreeze, registered)
  return registered
}

async function start(address: string, beforeFreeze: boolean): Promise<boolean> {
  try {
    const extension = await registerExtension(address, beforeFreeze ? 'thaw-freeze' : 'thaw-shutdown', beforeFreeze ? ['INVOKE'] : [])
    // Ends when the process does, in the middle of a request.
    void follow(extension).catch(() => {})
    return true
  } catch (error) {
    console.warn(`Thaw: connections will not be closed at shutdown. Call registerShutdown() at module level, not in the handler. ${error}`)
    return false
  }
}

/** Lambda freezes the process when every extension and the runtime have asked for the next event: so we ask when we are done. */
async function follow(extension: Extension): Promise<void> {
  let { requestId } = await extension.next()
  while (await handlerEnded(requestId)) {
    await Promise.allSettled([...drained].map(closeIdle))
    requestId = (await extension.next()).requestId
  }
  console.warn('Thaw: connections are not closed before the freeze, because beforeFreeze needs withThaw() around the handler.')
  for (;;) await extension.next()
}

/** Resolves when the handler is done. False: there is no wrapper to report it. */
async function handlerEnded(requestId: string): Promise<boolean> {
  const ended = whenEnded(requestId).then(() => true)
  const late = new Promise<boolean>((resolve) => {
    systemClock.setTimer(() => resolve(isRunning(requestId)), BEGIN_MILLIS, true)
  })
  if (await Promise.race([ended, late])) return ended
  forget(requestId)
  return false
}

async function terminate(): Promise<void> {
  await Promise.allSettled([...pools].map(close))
  // Any other listener has work to do, and ends the process when it is done; or Lambda does.
  if (process.listenerCount('SIGTERM') === 0) process.exit(0)
}

async function close(pool: EndablePool): Promise<void> {
  await closeIdle(pool)
  await pool.end()
}
