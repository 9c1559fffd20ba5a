import { expect, it } from 'vitest'
import { openProgress } from '../../cli/progress.ts'

function terminal(isTTY: boolean) {
  const written: string[] = []
  return { written, isTTY, write: (text: string) => written.push(text) }
}

it('tells a terminal how far a copy is, and takes it away again', () => {
  const screen = terminal(true)
  const progress = openProgress(screen)

  progress.observe({ kind: 'found', bytes: 5_000 })
  progress.close()

  expect(screen.written).toEqual(['\r\u001b[K0 of 1 blobs, 0 bytes sent', '\r\u001b[K'])
})

it('tells whatever is no terminal nothing', () => {
  const pipe = terminal(false)
  const progress = openProgress(pipe)

  progress.observe({ kind: 'ended', how: 'sent' })
  progress.close()

  expect(pipe.written).toEqual([])
})
