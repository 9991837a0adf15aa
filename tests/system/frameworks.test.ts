/**
 * The pages of docs/start for frameworks, followed as a newcomer does: an empty project, the packed packages, the framework's own build, and the page's
 * snippets as they stand there. Then the connections die between two requests. What was there before, plain `pg` or db0's own connector, fails
 * requests; on Thaw all are answered.
 */

import { expect, test } from 'vitest'
import { ON_NODE, ON_WORKERS } from './frameworks.ts'
import { PATIENCE_MILLIS, packed, proxy, server, useOrdersWorld } from './orders-world.ts'
import { createProject } from './project.ts'
import { AT_ONCE, ask, type Strike, strike } from './strikes.ts'

/** Of the pools, at the server. */
const APP = 'newcomer'
const IN_A_ROW = 5
const ON_THAW: readonly Strike[] = ['terminate', 'fin', 'rst-on-next-byte', 'drop']

useOrdersWorld()

const url = () => `${proxy.urlFor(server.url)}?application_name=${APP}`

test.each(Object.entries(ON_NODE))(
  '%s: connections die between two requests, and on Thaw none of them fails',
  async (_name, { build = [], serve, route, before, ...parts }) => {
    await using project = await createProject({ packed, ...parts })
    for (const command of build) await project.run(command)
    await using app = await project.serve(serve, { DATABASE_URL: url() })
    const rows = await fetch(app.url + route)
    expect(await rows.text(), app.output).toContain('water')
    for (const how of ON_THAW) {
      const { struck, failed } = await strike(app.url + route, how, { server, proxy, app: APP })
      expect({ how, failed }, app.output).toEqual({ how, failed: [] })
      expect(struck, how).toBeGreaterThan(0)
    }
    const { struck, failed } = await strike(app.url + before, 'rst-on-next-byte', { server, proxy, app: APP })
    expect(struck).toBeGreaterThan(0)
    expect(failed).not.toEqual([])
  },
  PATIENCE_MILLIS,
)

/** There connections belong to requests, and what is kept from one to the next hangs. */
test.each(Object.entries(ON_WORKERS))(
  '%s on Workers: on Thaw every request is answered, one after another and at once',
  async (_name, { build = [], serve, route, before, ...parts }) => {
    await using project = await createProject({ packed, ...parts })
    for (const command of build) await project.run(command)
    await using app = await project.serve(serve.map((word) => word.replace('$DATABASE_URL', url())))
    expect(await (await fetch(app.url + route)).text(), app.output).toContain('water')
    for (let request = 0; request < IN_A_ROW; request++) expect(await ask(app.url + route), app.output).toBeUndefined()
    const together = await Promise.all(Array.from({ length: AT_ONCE }, () => ask(app.url + route)))
    expect(together, app.output).toEqual(together.map(() => undefined))
    expect(await ask(app.url + before)).toBeUndefined()
    expect(await ask(app.url + before)).toBeDefined()
  },
  PATIENCE_MILLIS,
)
