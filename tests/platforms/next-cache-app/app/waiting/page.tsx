import { connection } from 'next/server'
import { type ReactNode, Suspense } from 'react'
import { countOrders } from '../../lib/db.ts'

/** After `connection()` nothing is prerendered. */
async function Count(): Promise<ReactNode> {
  await connection()
  return <output>{`${await countOrders('thaw')} waiting`}</output>
}

export default function Page(): ReactNode {
  return (
    <Suspense fallback="…">
      <Count />
    </Suspense>
  )
}
