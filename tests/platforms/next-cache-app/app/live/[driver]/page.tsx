import { type ReactNode, Suspense } from 'react'
import { countOrders, drivers } from '../../../lib/db.ts'

export const generateStaticParams = (): { driver: string }[] => drivers.map((driver) => ({ driver }))

type Props = { params: Promise<{ driver: string }> }

async function Count({ params }: Props): Promise<ReactNode> {
  const { driver } = await params
  return <output>{`${await countOrders(driver)} live`}</output>
}

/** A static shell, and a number that is asked for in each request. */
export default function Page({ params }: Props): ReactNode {
  return (
    <main>
      <h1>the shell</h1>
      <Suspense fallback="…">
        <Count params={params} />
      </Suspense>
    </main>
  )
}
