/** The command `pnpm start:crowd`. */

import { CROWD, type CrowdFigures, playCrowd } from './crowd.ts'

console.log(`${CROWD.functions} functions, frozen between their calls, on a server of ${CROWD.sessions} sessions.\n`)
for (const driver of ['pg', 'thaw'] as const) tell(driver === 'pg' ? 'pg' : "Thaw, fleet: 'orders'", await playCrowd(driver, CROWD))

function tell(name: string, { calls, failed, errors, worstMillis, astray, mostSessions }: CrowdFigures): void {
  const worst = (worstMillis / 1000).toFixed(2)
  console.log(
    `${name}: ${failed} of ${calls} calls failed, worst wait ${worst} s, at most ${mostSessions} sessions, ${astray} orders astray`,
  )
  for (const [message, times] of Object.entries(errors)) console.log(`  ${times} x ${message}`)
}
