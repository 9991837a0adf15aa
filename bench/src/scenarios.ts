/** Every scenario, the long ones last. */

import { firstAnswer } from './first-answer.ts'
import { fleet, fleetLease } from './fleet.ts'
import { hotPath } from './hot-path.ts'
import { importTime } from './import-time.ts'
import { ledger } from './ledger.ts'
import { matrix } from './matrix.ts'
import { memory } from './memory.ts'
import { newest } from './newest.ts'
import { roundTrips } from './round-trips.ts'
import type { Scenario } from './scenario.ts'
import { schedules } from './schedules.ts'
import { sharing } from './sharing.ts'
import { size } from './size.ts'
import { statements } from './statements.ts'
import { workers } from './workers.ts'
import { wrapper } from './wrapper.ts'

export const scenarios: readonly Scenario[] = [
  hotPath,
  sharing,
  wrapper,
  firstAnswer,
  roundTrips,
  size,
  workers,
  statements,
  importTime,
  memory,
  fleet,
  schedules,
  ledger,
  matrix,
  newest,
  fleetLease,
]
