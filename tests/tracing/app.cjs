/** A program of CommonJS that is traced. Arguments: the package of the Pool, its configuration, is it to be hurt? */

const { drive } = require('./drive.cjs')

const [, , name] = process.argv
void drive(name, require(name))
