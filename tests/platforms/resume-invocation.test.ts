/** A write that has to outlive its request is started outside of its invocation, by a function of the package that has wrapped the handler. */

import { resumeInvocation } from '@thaw/core'
import { expect, test } from 'vitest'

test.for(['lambda', 'vercel', 'next', 'cloudflare'])('@thaw/%s exports it beside withThaw', async (name) => {
  const { withThaw, ...rest } = await import(`@thaw/${name}`)
  expect(withThaw).toBeTypeOf('function')
  expect(rest).toHaveProperty('resumeInvocation', resumeInvocation)
})
