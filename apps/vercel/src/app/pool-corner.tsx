import type { PoolStats } from '@thaw/pg'
import type { ReactNode } from 'react'

/** What the pool of this process is doing. */
export function PoolCorner({ stats, max }: { readonly stats: PoolStats; readonly max: number }): ReactNode {
  const now = [
    ['open', `${stats.total} of ${max}`],
    ['idle', stats.idle],
    ['waiting', stats.waiting],
  ]
  const soFar = [
    ['acquired', stats.acquired],
    ['probed', stats.probed],
    ['found dead', stats.stale],
    ['connected', stats.connected],
    ['retried', stats.retried],
  ]
  return (
    <section className="pool" aria-label="The pool">
      <h2>The pool</h2>
      <dl className="now">{now.map(Fact)}</dl>
      <dl>{soFar.map(Fact)}</dl>
    </section>
  )
}

function Fact([name, value]: readonly (string | number)[]): ReactNode {
  return (
    <div key={name}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
