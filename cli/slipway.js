#!/usr/bin/env node
// Plain JavaScript: a Node that is too old to read the sources reads at least this, and says so.
const wanted = 26
const found = process.versions.node

if (Number(found.split('.')[0]) >= wanted) {
  // Sources whose types were stripped once need not be again: half the start, and a quarter of the memory.
  const { enableCompileCache } = await import('node:module')
  enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/slipway`)
  await import('./main.ts')
} else {
  process.stderr.write(
    `slipway: needs Node ${wanted}, and this is ${found}: npm ci brings it, as node_modules/.bin/node\n`,
  )
  process.exitCode = 1
}
