/** `POST /register` and `POST /login`: an email and a password for a token. */

import { Router } from 'express'
import { z } from 'zod'
import { pool } from './database.ts'
import { Refusal } from './errors.ts'
import { hashPassword, isPassword } from './passwords.ts'
import { signToken } from './tokens.ts'

const Credentials = z.object({
  email: z.email().max(254).toLowerCase(),
  password: z.string().min(8).max(200),
})

export const accounts: Router = Router()

// Not idempotent: sent twice it would say "taken". If its connection breaks, the client is told that the outcome is unknown, and logs in to see.
accounts.post('/register', async (request, response) => {
  const { email, password } = Credentials.parse(request.body)
  const { rows } = await pool.query<{ id: number }>(
    'INSERT INTO accounts (email, password) VALUES ($1, $2) ON CONFLICT (email) DO NOTHING RETURNING id',
    [email, await hashPassword(password)],
  )
  const [account] = rows
  if (!account) throw new Refusal(409, 'taken', 'There is an account with this email. Log in.')
  response.status(201).json({ token: await signToken(account.id) })
})

// A read: Thaw sends it again if its connection breaks.
accounts.post('/login', async (request, response) => {
  const { email, password } = Credentials.parse(request.body)
  const { rows } = await pool.query<{ id: number; password: string }>('SELECT id, password FROM accounts WHERE email = $1', [email])
  const [account] = rows
  const isRight = await isPassword(password, account?.password)
  if (!account || !isRight) throw new Refusal(401, 'unauthorized', 'There is no account with this email and password.')
  response.json({ token: await signToken(account.id) })
})
