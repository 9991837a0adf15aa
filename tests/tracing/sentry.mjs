/** The same for a program of ES modules: `node --import`. */

import * as Sentry from '@sentry/node'
import { drive } from './sentry-drive.cjs'

drive(Sentry)
