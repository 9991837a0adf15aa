import { withThaw } from '@thaw/next'

/** Made when the app is built, of a request of which nothing may be read. */
export const dynamic = 'error'

export const GET = withThaw(async () => Response.json({ static: true }))
