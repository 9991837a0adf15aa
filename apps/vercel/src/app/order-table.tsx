import type { ReactNode } from 'react'
import { inEuros } from '../money.ts'
import type { Order } from '../schema.ts'

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })

export function OrderTable({ orders }: { readonly orders: readonly Order[] }): ReactNode {
  if (orders.length === 0) return <p className="empty">No orders yet. Yours will be the first.</p>
  return (
    <table>
      <caption>Latest orders</caption>
      <thead>
        <tr>
          <th scope="col">No.</th>
          <th scope="col">Item</th>
          <th scope="col">Pieces</th>
          <th scope="col">Price</th>
          <th scope="col" className="wide">
            Placed (UTC)
          </th>
        </tr>
      </thead>
      <tbody>
        {orders.map(({ id, item, quantity, cents, placedAt }) => (
          <tr key={id}>
            <td>{id}</td>
            <td>{item}</td>
            <td>{quantity}</td>
            <td>{inEuros(cents)}</td>
            <td className="wide">
              <time dateTime={placedAt.toISOString()}>{TIME.format(placedAt)}</time>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
