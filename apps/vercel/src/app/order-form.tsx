'use client'

import { type ReactNode, useActionState } from 'react'
import { inEuros } from '../money.ts'
import { order } from './actions.ts'

interface Props {
  readonly goods: readonly { readonly item: string; readonly cents: number }[]
}

export function OrderForm({ goods }: Props): ReactNode {
  const [reply, send, isPending] = useActionState(order, {})
  return (
    <form action={send} className="order">
      <label>
        Item
        <select name="item">
          {goods.map(({ item, cents }) => (
            <option key={item} value={item}>{`${item}, ${inEuros(cents)}`}</option>
          ))}
        </select>
      </label>
      <label className="pieces">
        Pieces
        <input name="quantity" type="number" inputMode="numeric" min="1" max="99" defaultValue="1" required />
      </label>
      <button type="submit" disabled={isPending}>
        {isPending ? 'Ordering …' : 'Order'}
      </button>
      <p role="status" className={reply.error ? 'reply error' : 'reply'}>
        {reply.error ?? reply.message}
      </p>
    </form>
  )
}
