/** What is deployed: AWS's own runtime knows no TypeScript, Node does. */
export { handler, stream } from './lambda-app.ts'
