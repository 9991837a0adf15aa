import type { ReactNode } from 'react'
import { countOrders, drivers } from '../../../lib/db.ts'

/** Which pages there are is in the database too. */
export async function generateStaticParams(): Promise<{ driver: string }[]> {
  const counts = await Promise.all(drivers.map(countOrders))
  return drivers.filter((_, index) => counts[index] !== -1).map((driver) => ({ driver }))
}

async function cachedCount(driver: string): Promise<number> {
  'use cache'
  return countOrders(driver)
}

export default async function Page({ params }: { params: Promise<{ driver: string }> }): Promise<ReactNode> {
  const { driver } = await params
  return <output>{`${await cachedCount(driver)} cached`}</output>
}
