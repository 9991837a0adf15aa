/** The app. Vercel finds it by this file's name and its import of express, and calls what it exports by default. */

import { withThaw } from '@thaw/vercel'
import express, { type Express } from 'express'
import { accounts } from './accounts.ts'
import { answerError, Refusal } from './errors.ts'
import { orders } from './orders.ts'
import { traced } from './telemetry.ts'

const app = express()
app.disable('x-powered-by')
app.use(traced)
app.use(express.json({ limit: '10kb' }))
app.use((request, _response, next) => {
  if (request.method === 'POST' && !request.is('json'))
    throw new Refusal(415, 'invalid', 'Send JSON, with "Content-Type: application/json".')
  next()
})
app.use(accounts)
app.use(orders)
app.use(() => {
  throw new Refusal(404, 'not-found', 'There is POST /register, POST /login, POST /orders and GET /orders.')
})
app.use(answerError)

const handler: Express = withThaw(app)
export default handler
