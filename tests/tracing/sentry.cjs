/** Sentry, set up as its documentation says; what it would send is kept in this process. */

const Sentry = require('@sentry/node')
exports.ready = require('./sentry-drive.cjs').drive(Sentry)
