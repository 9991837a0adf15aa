import { startPostgres } from '@thaw/testkit'
import { writeFileSync } from 'node:fs'
const s = await startPostgres(); writeFileSync('/tmp/hp/url', s.url); setInterval(()=>{}, 1e6)
