import { connection } from 'next/server'
import type { ReactNode } from 'react'
import { thaw } from '../../lib/db.ts'
import { order } from './actions.ts'

export default async function Page(): Promise<ReactNode> {
  await connection()
  const { rows } = await thaw.query<{ item: string }>('SELECT item FROM orders ORDER BY id')
  return (
    <form action={order}>
      <input name="item" />
      <output>{rows.map(({ item }) => item).join(', ')}</output>
    </form>
  )
}
