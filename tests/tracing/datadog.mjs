/** The same for a program of ES modules: `node --import`. */

import 'dd-trace/register.js'
import './datadog.cjs'
