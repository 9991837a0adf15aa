/** A runtime as a process of its own, which is frozen between its calls. */

import { serve } from '@thaw/testkit'
import { createRuntime, type FleetRuntime, type RuntimeOptions } from './fleet-runtime.ts'

let runtime: FleetRuntime | undefined

serve({
  start(options: RuntimeOptions) {
    runtime = createRuntime(options)
  },
  use: ({ id, kind }: { id: string; kind: number }) => runtime?.use(id, kind),
  evicted: () => runtime?.evicted,
})
