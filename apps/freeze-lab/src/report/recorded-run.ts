/** A run of one fault, silent-drop-full, as the lab recorded it; shortened to a few calls and connections. For tests. */

import type { Figures } from '../figures.ts'
import type { LabResult } from '../lab.ts'
import type { RecordedCall, Recording } from '../record/recording.ts'

const WARM_UP: RecordedCall = {
  phase: 'warm-up',
  action: 'read',
  fromMillis: -1038.1,
  toMillis: -941.2,
  ending: 'answered',
  isHonest: false,
}
const ERROR = 'no answer within 5000 ms'

/** What plain pg made of it. */
export const PG_RECORDING: Recording = {
  fromMillis: -1038.1,
  toMillis: 5013.1,
  freezes: [{ fromMillis: -703.5, toMillis: 0 }],
  calls: [
    WARM_UP,
    { phase: 'counted', action: 'place', fromMillis: -0.4, toMillis: 4999.6, ending: 'hung', isHonest: false, error: ERROR },
    { phase: 'counted', action: 'read', fromMillis: -0.2, toMillis: 4999.8, ending: 'hung', isHonest: false, error: ERROR },
  ],
  connections: [
    { dialledMillis: -1037, openedMillis: -1030.2, diedMillis: -703.4, cause: 'drop' },
    { dialledMillis: -1036.5, openedMillis: -1029.8, diedMillis: -703.4, cause: 'drop' },
  ],
  blows: [{ kind: 'drop', atMillis: -703.4, count: 2 }],
  troubles: [],
  decisions: [],
  crashes: [],
}

/** What Thaw made of it. */
export const THAW_RECORDING: Recording = {
  ...PG_RECORDING,
  fromMillis: -972.1,
  toMillis: 618.5,
  freezes: [{ fromMillis: -701.1, toMillis: 0 }],
  calls: [
    { ...WARM_UP, fromMillis: -972.1, toMillis: -850 },
    { phase: 'counted', action: 'place', fromMillis: -0.4, toMillis: 593.1, ending: 'answered', isHonest: false },
    { phase: 'counted', action: 'read', fromMillis: -0.2, toMillis: 614.8, ending: 'answered', isHonest: false },
  ],
  connections: [
    { dialledMillis: -971, openedMillis: -965.1, diedMillis: -701, cause: 'drop', closedMillis: 521.3 },
    { dialledMillis: -970.5, openedMillis: -964.9, diedMillis: -701, cause: 'drop', closedMillis: 521.9 },
    { dialledMillis: 508.8, openedMillis: 520.3 },
    { dialledMillis: 509.2, openedMillis: 521.3 },
  ],
  blows: [{ kind: 'drop', atMillis: -701, count: 2 }],
  decisions: [
    { atMillis: -862.3, type: 'connected', fields: { tookMillis: 110.4, attempts: 1 } },
    { atMillis: -862.2, type: 'acquired', fields: { how: 'new' } },
    { atMillis: 4.4, type: 'socketsPolled', fields: { idle: 2, dead: 0 } },
    { atMillis: 508.1, type: 'probed', fields: { alive: false, tookMillis: 503.3, silenceMillis: 1360 } },
    { atMillis: 508.2, type: 'stale', fields: { reason: 'unanswered', silenceMillis: 1360 } },
    { atMillis: 508.3, type: 'probed', fields: { alive: false, tookMillis: 503.9, silenceMillis: 1362 } },
    { atMillis: 508.4, type: 'stale', fields: { reason: 'unanswered', silenceMillis: 1362 } },
    { atMillis: 590.2, type: 'connected', fields: { tookMillis: 81.2, attempts: 1 } },
    { atMillis: 590.3, type: 'acquired', fields: { how: 'new' } },
  ],
}

/** What plain pg's side came to. */
export const PG_FIGURES: Figures = {
  calls: 2,
  failed: 2,
  unknown: 0,
  worstWaitMillis: 5000,
  isCapped: true,
  rowsTwice: 0,
  rowsMissing: 0,
  crashes: 0,
  errors: { [ERROR]: 2 },
}

/** What Thaw's side came to. */
export const THAW_FIGURES: Figures = { ...PG_FIGURES, failed: 0, worstWaitMillis: 615, isCapped: false, errors: {} }

/** The run. */
export const RECORDED_RUN: LabResult = {
  seed: 7,
  database: 'own',
  postgresVersion: '18.4',
  nodeVersion: 'v24.21.0',
  tookMillis: 17_000,
  faults: [
    {
      name: 'silent-drop-full',
      happens: 'All connections are dropped silently.',
      pg: PG_FIGURES,
      thaw: THAW_FIGURES,
      recordings: { pg: PG_RECORDING, thaw: THAW_RECORDING },
    },
  ],
  skipped: [],
  total: { pg: PG_FIGURES, thaw: THAW_FIGURES },
  complaints: [],
}
