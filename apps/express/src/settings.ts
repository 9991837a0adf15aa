/** What the environment says, checked where the process starts: a deployment that lacks something should fail at once, and name it. */

import { z } from 'zod'

interface Settings {
  readonly DATABASE_URL: string
  readonly DATABASE_CA?: string | undefined
  readonly JWT_SECRET: string
}

const MISSING = 'is not set'

const Environment = z.object({
  DATABASE_URL: z.url({
    protocol: /^postgres(ql)?$/,
    error: ({ input }) => (input ? 'is no URL of the form postgres://user:password@host:port/database' : MISSING),
  }),
  // Some dashboards store a certificate in one line, with \n for each break.
  DATABASE_CA: z
    .string()
    .transform((pem) => pem.replaceAll('\\n', '\n').trim())
    .refine((pem) => pem === '' || pem.startsWith('-----BEGIN CERTIFICATE-----'), 'is no certificate in PEM format')
    .optional(),
  // HS256 needs a key as long as its hash: RFC 7518, section 3.2.
  JWT_SECRET: z.string({ error: MISSING }).min(32, { error: ({ input }) => (input ? 'has fewer than 32 characters' : MISSING) }),
})

const { data, error } = Environment.safeParse(process.env)
if (error) {
  const list = error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ')
  throw new Error(`The app cannot start: ${list}. See .env.example.`)
}

export const settings: Settings = data
