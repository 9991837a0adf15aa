const thaw = require('@thaw/pg')

require('./use.cjs')(thaw, require('pg'), thaw.default)
