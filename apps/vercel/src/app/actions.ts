'use server'

import { withThaw } from '@thaw/next'
import { revalidatePath } from 'next/cache'
import { freezeAndCut, type Ordeal } from '../freezer.ts'
import { placeOrder, readOrder } from '../shop.ts'

/** What the form says after an order. */
export interface OrderReply {
  readonly message?: string
  readonly error?: string
}

export const order = withThaw(async (_previous: OrderReply, form: FormData): Promise<OrderReply> => {
  const wanted = readOrder({ item: form.get('item'), quantity: form.get('quantity') })
  if ('error' in wanted) return wanted
  const { id, item, quantity } = await placeOrder(wanted.goods, wanted.quantity)
  revalidatePath('/')
  return { message: `Order ${id}: ${quantity} × ${item}. Thank you.` }
})

/** Not wrapped: it spends its time in a freeze, and a deadline would count that. */
export async function freeze(): Promise<Ordeal> {
  const ordeal = await freezeAndCut()
  revalidatePath('/')
  return ordeal
}
