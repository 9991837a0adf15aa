import thawPg, * as thaw from '@thaw/pg'
import pg from 'pg'
import use from './use.cjs'

await use(thaw, pg, thawPg)
