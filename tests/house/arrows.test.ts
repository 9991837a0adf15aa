/** Who may import whom, and that we would notice. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { strayArrows } from './arrows.ts'
import { find, ROOT } from './repository.ts'

test('the arrows point from apps to drivers to core', async () => {
  const files = await find('{packages,apps,bench,tests}/**/*.{ts,tsx,mts,cts}')
  expect(files).toContain('packages/core/src/index.ts')
  expect(files).toContain('tests/house/arrows.test.ts')
  expect(await strayArrows(ROOT, files)).toEqual([])
})

const PLANTED = {
  'packages/core/src/index.ts': "export * from './time.ts'",
  'packages/core/src/index.test.ts': "import 'vitest'",
  'packages/core/src/time.ts': "import { hrtime } from 'node:process'\nexport const time = hrtime",
  'packages/pg/src/app.ts': "export const app = () => import('../../../apps/lab/src/main.ts')",
  'packages/pg/src/index.ts': "import type { neon } from '@thaw/neon'",
  'packages/pg/src/kit.test.ts': "import { kit } from '@thaw/testkit'\nawait using k = kit",
  'packages/pg/src/kit.ts': "import '@thaw/testkit'",
  'packages/pg/src/neon.test.ts': "import { neon } from '@thaw/neon'",
  'packages/pg/src/round.ts': "import { trip } from './trip.ts'",
  'packages/pg/src/trip.ts': "export type { round } from './round.ts'",
  'packages/neon/src/index.ts': "import { time } from '@thaw/core'\nimport { hrtime } from 'node:process'",
  'packages/neon/src/pool.ts': "import '@thaw/pool'",
  'packages/pool/src/connection/probe.ts': "import { checks } from '../checkout/health-checks.ts'",
  'packages/pool/src/checkout/health-checks.ts': "import { peer } from '../driver/peer.ts'",
  'packages/lambda/src/index.ts': "import '@thaw/pool'",
  'packages/testkit/src/index.ts': "import pg from 'pg'",
  'apps/lab/src/main.ts': "export { kit } from '../../../packages/testkit/src/index.ts'\nimport '@thaw/pg'",
  'bench/src/main.ts': "export * from '../../tests/helper.ts'",
  'tests/helper.ts': "import '@thaw/testkit'",
}

test('an arrow that points elsewhere would be found', async () => {
  const root = await mkdtemp(join(tmpdir(), 'thaw-arrows-'))
  try {
    for (const [path, text] of Object.entries(PLANTED)) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), text)
    }
    expect(await strayArrows(root, Object.keys(PLANTED))).toEqual([
      'a package imports core, and no other package: packages/pg/src/index.ts → packages/neon',
      'a package imports core, and no other package: packages/pg/src/kit.ts → packages/testkit',
      'a room of the pool imports from below: packages/pool/src/connection/probe.ts → packages/pool/src/checkout/health-checks.ts',
      'apps, bench and tests import their own files, and no other package does: bench/src/main.ts → tests/helper.ts',
      'apps, bench and tests import their own files, and no other package does: packages/pg/src/app.ts → apps/lab/src/main.ts',
      'core imports nothing: packages/core/src/time.ts → node:process',
      'no cycles: packages/pg/src/round.ts → packages/pg/src/trip.ts → packages/pg/src/round.ts',
      'only drivers import the pool: packages/lambda/src/index.ts → packages/pool',
      'packages are imported by their names: apps/lab/src/main.ts → packages/testkit/src/index.ts',
      'the tests of a package import core and the testkit, and no other package: packages/pg/src/neon.test.ts → packages/neon',
    ])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
