/** One Neon for a test file, with the driver pointed at it. */

import * as stock from '@neondatabase/serverless'
import { type Neon, startNeon } from '@thaw/testkit'
import { afterAll, beforeAll } from 'vitest'

export let neon: Neon

/** To be called at the top of a test file, before its own hooks. */
export function useOneNeon(): void {
  beforeAll(async () => {
    neon = await startNeon()
    Object.assign(stock.neonConfig, neon.driver)
  })
  afterAll(() => neon.close())
}
