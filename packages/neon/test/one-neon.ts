/** One Neon for a test file, with the driver pointed at it. */

import * as stock from '@neondatabase/serverless'
import { type Neon, type NeonOptions, startNeon } from '@thaw/testkit'
import { afterAll, beforeAll } from 'vitest'

export let neon: Neon

/** To be called at the top of a test file, before its own hooks. */
export function useOneNeon(options: NeonOptions = {}): void {
  beforeAll(async () => {
    neon = await startNeon(options)
    Object.assign(stock.neonConfig, neon.driver)
  })
  afterAll(() => neon.close())
}
