/** A program of CommonJS that is traced. Arguments: the package of the Pool, its configuration, is it to be hurt? */

const { drive } = require('./drive.cjs')

const [, , name] = process.argv
const { Pool, Query } = require(name)
void drive(name, Pool, Query)
