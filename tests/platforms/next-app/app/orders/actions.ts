'use server'

import { withThaw } from '@thaw/next'
import { revalidatePath } from 'next/cache'
import { thaw } from '../../lib/db.ts'

export const order = withThaw(async (form: FormData) => {
  await thaw.query('INSERT INTO orders (item) VALUES ($1)', [form.get('item')])
  revalidatePath('/orders')
})
