/** Where a new password comes from. It is never a word of the command line, which other users of the machine can read. */
import { StringDecoder } from 'node:string_decoder'
import type { PrincipalName } from '../auth/access.ts'
import { weaknessOf } from '../auth/passwords.ts'
import { makePassword } from '../auth/random.ts'
import { UsageError } from './usage.ts'

export interface NewPassword {
  readonly password: string
  /** Nobody knows it yet: it is to be shown, once. */
  readonly isMade: boolean
}

export interface PasswordFlags {
  readonly 'password-stdin'?: boolean | undefined
}

/** From standard input, or from a prompt where that is a terminal; otherwise it is made. Throws where it is too weak. */
export async function newPassword(user: PrincipalName, flags: PasswordFlags): Promise<NewPassword> {
  const typed = flags['password-stdin'] ? await fromStdin() : await fromTerminal(user)
  if (typed === undefined) return { password: makePassword(), isMade: true }
  const weakness = weaknessOf(typed, user)
  if (weakness !== undefined) throw new Error(`${weakness}: choose another, or let one be made`)
  return { password: typed, isMade: false }
}

/** More than any password that is taken. */
const maxBytes = 4 * 1024

async function fromStdin(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxBytes) break
  }
  const text = Buffer.concat(chunks).toString()
  const line = text.replace(/\r?\n$/, '')
  if (line === '' || bytes > maxBytes || /[\r\n]/.test(line))
    throw new UsageError('--password-stdin: expected one line, the password, on standard input')
  return line
}

/** Undefined where nobody can be asked, or where who is asked wants one to be made. */
async function fromTerminal(user: PrincipalName): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined
  const terminal = hiddenInput()
  try {
    const first = await terminal.ask(`Password for ${user} (empty: one is made): `)
    if (first === '') return undefined
    if ((await terminal.ask('The same again: ')) === first) return first
    throw new Error('these were two different passwords: nothing was changed')
  } finally {
    terminal.close()
  }
}

const keys = { ctrlC: '\u0003', ctrlD: '\u0004', ctrlU: '\u0015', backspace: '\u007f', ctrlH: '\b' } as const

/** Lines of a terminal that does not show what is typed. */
function hiddenInput() {
  const { stdin, stderr } = process
  const decoder = new StringDecoder()
  let typed: string[] = []
  let asked: PromiseWithResolvers<string> | undefined
  /** What was typed ahead of a question. */
  let ahead = ''

  function take(key: string): void {
    switch (key) {
      case '\r':
      case '\n':
      case keys.ctrlD:
        asked?.resolve(typed.join(''))
        asked = undefined
        typed = []
        return
      case keys.ctrlC:
        asked?.reject(new Error('interrupted: nothing was changed'))
        asked = undefined
        return
      case keys.backspace:
      case keys.ctrlH:
        typed.pop()
        return
      case keys.ctrlU:
        typed = []
        return
      default:
        typed.push(key)
    }
  }

  function read(): void {
    for (const key of ahead) {
      if (!asked) return
      take(key)
      ahead = ahead.slice(key.length)
    }
  }

  const onData = (chunk: Buffer) => {
    ahead += decoder.write(chunk)
    read()
  }
  const onEnd = () => asked?.reject(new Error('the terminal was closed: nothing was changed'))
  stdin.setRawMode(true)
  stdin.on('data', onData).on('end', onEnd)

  return {
    async ask(question: string): Promise<string> {
      stderr.write(question)
      const waiting = Promise.withResolvers<string>()
      asked = waiting
      read()
      try {
        return await waiting.promise
      } finally {
        stderr.write('\n')
      }
    },
    close() {
      stdin.off('data', onData).off('end', onEnd)
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
