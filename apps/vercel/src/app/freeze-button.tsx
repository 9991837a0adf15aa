'use client'

import { type ReactNode, useActionState } from 'react'
import type { Ordeal } from '../freezer.ts'
import { freeze } from './actions.ts'

/** Freezes the process that serves this page, and cuts its connections. On a developer's machine only. */
export function FreezeButton(): ReactNode {
  const [ordeal, send, isPending] = useActionState<Ordeal | undefined>(freeze, undefined)
  return (
    <form action={send} className="freeze">
      <button type="submit" disabled={isPending}>
        {isPending ? 'Frozen …' : 'Freeze and cut'}
      </button>
      <p role="status">{ordeal ? describe(ordeal) : 'Stops this server’s process and kills its database connections.'}</p>
    </form>
  )
}

function describe({ frozenMillis, cut, calls, failed, slowestMillis, dials }: Ordeal): string {
  return `Frozen for ${(frozenMillis / 1000).toFixed(1)} s, ${cut} connections cut. Then ${calls} queries at once: ${failed} failed, ${dials} dials, the slowest took ${slowestMillis} ms.`
}
