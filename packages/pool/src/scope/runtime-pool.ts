/**
 * The pool for the runtime in which the module is loaded: with connections per request in a Worker, and per process elsewhere. Detected at
 * run time, because a bundle made for one runtime is loaded in the other too: Next.js bundles for Node what OpenNext runs in a Worker, and
 * tools that build for Workers load modules in Node.
 */

import { OptionError } from '@thaw/core'
import type { Driver } from '../driver/driver.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerClient } from '../driver/peer.ts'
import { transactingPoolOver } from '../transaction/pool.ts'
import { prepareBindings } from './bindings.ts'
import { scopedPoolOver } from './scoped-pool.ts'

type AnyPool = new (source?: never, Client?: unknown) => object

/** Extends the driver's class. Each call makes another class. */
export function runtimePoolOver(driver: Driver): AnyPool {
  // By a mock of the driver a test means the pool, too: what extends it would be neither of the two.
  if ((driver.Pool as { readonly _isMockFunction?: unknown } | undefined)?._isMockFunction) return driver.Pool as unknown as AnyPool
  // Only workerd has this, and a pool per request cannot work without it.
  if (!('WebSocketPair' in globalThis)) return processPoolOver(driver)
  prepareBindings()
  return scopedPoolOver(driver)
}

/** Accepts a function of the bindings, as a Worker does, when it is created. Using it fails with an error that says there are no bindings. */
function processPoolOver(driver: Driver): AnyPool {
  return class ProcessPool extends transactingPoolOver(driver) {
    // Not a field: webpack's minifier turns it into an assignment, which throws.
    static override get name(): string {
      return 'Pool'
    }

    constructor(source?: object, Client?: unknown) {
      super(typeof source === 'function' ? undefined : source, Client)
      if (typeof source === 'function') this.Client = withoutTarget(this.Client)
    }
  }
}

type ClientClass = new (...values: never[]) => PeerClient

/** A client that fails to connect, with the reason why it cannot know where. */
function withoutTarget<Given extends ClientClass>(Client: Given): Given {
  const Base = Client as unknown as new (...values: unknown[]) => object
  return class extends Base {
    connect(callback?: (error: Error) => void): Promise<never> | undefined {
      const error = noBindings()
      if (!callback) return Promise.reject(error)
      nextTick(() => callback(error))
      return undefined
    }
  } as unknown as Given
}

function noBindings(): OptionError {
  return new OptionError({
    option: 'config',
    allowed: 'options, outside of Cloudflare Workers',
    message:
      'new Pool() received a function of the bindings, which exist on Cloudflare Workers only, and this is another runtime. Write new Pool({ connectionString: process.env.DATABASE_URL }): that works on Workers too, if DATABASE_URL is among the "vars" or the secrets.',
  })
}
