'use client'

import type { ReactNode } from 'react'

export default function ErrorPage({ reset }: { readonly reset: () => void }): ReactNode {
  return (
    <main className="failure">
      <h1>The shop cannot reach its orders</h1>
      <p>The server’s log says why. Is DATABASE_URL set, and has schema.sql been run?</p>
      <button type="button" onClick={reset}>
        Try again
      </button>
    </main>
  )
}
