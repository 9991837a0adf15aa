// esbuild puts this, with all that it imports, into one minified file.

import thawPg, * as thaw from '@thaw/pg'
import pg from 'pg'
import use from './use.cjs'

use(thaw, pg, thawPg)
